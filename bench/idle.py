"""What a session costs that does nothing: memory of the server's processes, not the kernel's.

Called by ``bench.cli`` and ``bench.suite.idle``. The client's sockets live in a process of their
own (``bench.holder``), because descriptors are limited by process. The baseline is taken after some
hundred connections came and went, each of which let the server make garbage: what it allocates
once, and what its collector needs to breathe, is not a session's. Every session counted has sent
one PING.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Final

from bench import usage
from bench.rounds import Plan, Progress
from bench.session import Endpoint
from bench.stats import median, spread
from bench.targets import CHECKOUT, Kind, TargetError

LIMIT_BYTES: Final = 300.0
"""The bar: bytes a session."""

WARMUP_CONNECTIONS: Final = 500
HELD: Final = 15_000
"""Sessions of one worker, and of one process that holds their other ends."""
SOURCES: Final = 4
"""Addresses of a holder."""
MOST_SESSIONS: Final = 19_000
"""Descriptors that one process may have, with some to spare (RLIMIT_NOFILE 20,000): the reference
has all sessions in one."""

_SETTLE_SECONDS: Final = 10.0
_SETTLE_STEP: Final = 0.25
_SETTLED_BYTES: Final = 65_536


@dataclass(frozen=True)
class IdleFigure:
    """Memory before and with the sessions, bytes, of some rounds."""

    target: str
    sessions: int
    rounds: tuple[tuple[int, int], ...]
    """Before and with the sessions."""

    @property
    def before(self) -> float:
        """Median."""
        return median(before for before, _ in self.rounds)

    @property
    def after(self) -> float:
        """Median."""
        return median(after for _, after in self.rounds)

    @property
    def per_session(self) -> float:
        """Bytes, median of the rounds' own."""
        return median(self._each)

    @property
    def spread(self) -> float:
        """Of the bytes a session, as a share of the median."""
        return spread(self._each)

    @property
    def _each(self) -> list[float]:
        return [(after - before) / self.sessions for before, after in self.rounds]


class Holder:
    """The process that holds the client's ends; one command and one answer a line."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def warm(self, count: int) -> None:
        """Connect so many, let each make the server produce garbage; TargetError when one fails."""
        self._ask(f"warm {count}")

    def open(self, count: int) -> None:
        """Connect so many, PING each; TargetError when one fails."""
        self._ask(f"open {count}")

    def close(self) -> None:
        """Close all and wait until the server has closed its ends too."""
        self._ask("close")

    def _ask(self, command: str) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline().strip()
        if answer != "done":
            raise TargetError(f"{command}: {answer or 'the holder of the sessions ended'}")


@contextmanager
def holder(endpoint: Endpoint, source: int = 2) -> Iterator[Holder]:
    """A holder for one server, whose connections come from 127.0.0.source on; gone afterwards."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.holder", str(endpoint.address), str(source)],
        cwd=CHECKOUT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
        text=True,
    )
    try:
        yield Holder(process)
    finally:
        process.kill()
        process.communicate()


def measure(wanted: Sequence[tuple[Kind, int]], plan: Plan, progress: Progress) -> list[IdleFigure]:
    """So many sessions of each server, in turns, every time on a new one.

    TargetError when a server does not take the sessions.
    """
    found: list[list[tuple[int, int]]] = [[] for _ in wanted]
    for turn in plan.turns():
        for (kind, sessions), rounds in zip(wanted, found, strict=True):
            progress(f"{sessions:,} sessions  round {turn}/{plan.rounds}  {kind.name}")
            rounds.append(_round(kind, sessions))
    return [
        IdleFigure(kind.name, sessions, tuple(rounds))
        for (kind, sessions), rounds in zip(wanted, found, strict=True)
    ]


def _round(kind: Kind, sessions: int) -> tuple[int, int]:
    """Start a server, fill it, look: memory before and with the sessions."""
    with kind.start() as endpoint, ExitStack() as stack:
        if endpoint.pid is None:
            raise TargetError(f"target {kind.name!r}: its processes cannot be seen")
        shares = [min(HELD, sessions - first) for first in range(0, sessions, HELD)]
        holders = [
            stack.enter_context(holder(endpoint, 2 + place * SOURCES))
            for place in range(len(shares))
        ]
        holders[0].warm(WARMUP_CONNECTIONS)
        holders[0].close()
        before = _settled(endpoint.pid)
        for clients, share in zip(holders, shares, strict=True):
            clients.open(share)
        after = _settled(endpoint.pid)
    return before, after


def _settled(pid: int) -> int:
    """Memory of the tree once it stands still, at the latest after _SETTLE_SECONDS."""
    deadline = time.monotonic() + _SETTLE_SECONDS
    last = usage.memory_bytes(usage.tree(pid))
    while time.monotonic() < deadline:
        time.sleep(_SETTLE_STEP)
        now = usage.memory_bytes(usage.tree(pid))
        if abs(now - last) < _SETTLED_BYTES:
            return now
        last = now
    return last
