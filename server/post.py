"""One row of the segment and who serves there. Filled in by :mod:`server.crew`.

free --hire--> new --ready, the others too--> on duty --retire--> draining --> free
                | it fails: free                | dies: started again, on duty all the time
"""

from __future__ import annotations

import socket
from dataclasses import dataclass, field

from server.children import Child
from server.loop import Timer
from server.restart import History


@dataclass
class Post:
    """One row. ``number`` is what people call its worker."""

    index: int
    number: int = 0
    generation: int = 0
    """Which loading of the application it runs."""
    on_duty: bool = False
    """It is meant to serve, and is started again when it dies."""
    child: Child | None = None
    intake: socket.socket | None = None
    history: History = field(default_factory=History)
    deaths: int = 0
    """Processes of this row that have ended."""
    leaving: bool = False
    """The acceptor has been told that the worker is down and has not confirmed."""
    spared: bool = False
    """The acceptor gives it nothing new any more."""
    deadline: float = 0.0
    """When a worker that drains has to stop, whoever is still there."""
    timer: Timer | None = None

    @property
    def free(self) -> bool:
        """Whether a new worker may have the row."""
        return self.child is None and not self.on_duty and not self.leaving
