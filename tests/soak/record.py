"""What a client notes down about one connection; pure, but for the file the notes go through.

    client process --a JSON line for each connection that is over--> file --> tests.soak.__main__

Times are seconds of the monotonic clock, which all processes share.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass
class Record:
    """One connection."""

    kind: str
    """What the client came for, see :mod:`tests.soak.visits`."""
    began: float = 0.0
    ended: float = 0.0
    connected: bool = False
    greeted: bool = False
    peer: str = ""
    """The client's address as the server has to show it, where that is its alone."""
    session: int = 0
    """Its id, 0 when the client did not hear it."""
    pid: int = 0
    """Process of the worker, 0 when the client did not hear it."""
    also: list[int] = field(default_factory=list)
    """Processes of other workers on which an answer depended."""
    sent: int = 0
    """Requests that were sent, also those that were not answered."""
    answered: int = 0
    refused: int = 0
    """Answers that are errors, as they should be."""
    mistyped: list[str] = field(default_factory=list)
    """Users whose password was wrong, as often as it was."""
    failed: list[str] = field(default_factory=list)
    """Answers that are wrong or did not come."""
    cut: str = ""
    """What the client was at when the server ended the connection without reason."""


def dump(record: Record) -> str:
    """One line."""
    return json.dumps(asdict(record)) + "\n"


def load(lines: Iterable[str]) -> Iterator[Record]:
    """Records of their lines."""
    for line in lines:
        yield Record(**json.loads(line))


def read(path: Path) -> list[Record]:
    """All that stands in a file."""
    return list(load(path.read_text(encoding="utf-8").splitlines()))
