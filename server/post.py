"""One row of the segment and who serves there, and who hears of it. Filled in by server.crew.

free --hire--> new --ready, the others too--> on duty --retire--> draining --> free
                | it fails: free                | dies: started again, on duty all the time
"""

from __future__ import annotations

import socket
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

from server.children import Child
from server.loop import Timer
from server.restart import History, Outlook


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
    outlook: Outlook = field(default_factory=Outlook)

    @property
    def free(self) -> bool:
        """Whether a new worker may have the row."""
        return self.child is None and not self.on_duty and not self.leaving


class Listener(Protocol):
    """Who hears of the crew: the supervisor."""

    def worker_ready(self, post: Post) -> None:
        """A worker can take sessions."""

    def worker_failed(self, post: Post, reason: str) -> None:
        """A worker says why it cannot serve; its end follows."""

    def worker_adjusts(self, post: Post, values: dict[str, Any]) -> None:
        """A worker's application wants settings, by their dotted keys, to be others everywhere."""

    def worker_ended(self, post: Post, was_ready: bool, reason: str) -> bool:
        """A worker's process has ended, why; whether another one is to be started."""

    def tell_acceptor(self, message: dict[str, Any], fds: Iterable[int] = ()) -> bool:
        """Send to the acceptor; False when there is none."""
