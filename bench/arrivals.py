"""Requests that arrive at a fixed rate: one round of them against one server.

Called by ``bench.suite.latency``; the timed path is arrivals.lua. The latencies are those of an
HdrHistogram, corrected for coordinated omission by the way they are measured: from when a request
was due.
"""

from __future__ import annotations

import array
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Final

from hdrh.histogram import HdrHistogram

from bench import lua
from bench.client import Client
from bench.scenarios import Scenario
from bench.session import Endpoint, Session
from bench.stats import GROWTH

PATIENCE: Final = 2.0
"""Seconds that answers may come late before the server counts as overloaded."""
_LONGEST: Final = 600_000_000
"""Microseconds, what the histogram has room for."""
_DIGITS: Final = 3


@dataclass(frozen=True)
class Arrived:
    """One round."""

    asked: float
    """Requests a second that were due."""
    found: float
    """Requests a second that were answered, until the last answer."""
    overloaded: bool
    """More were on the way than there was room for, or the last ones were not answered in time."""
    client_share: float
    """How much of one core the load generator was busy."""
    latency: HdrHistogram
    """Microseconds from when a request was due."""

    def quantile(self, share: float) -> float:
        """Microseconds that ``share`` of the requests did not exceed."""
        return float(self.latency.get_value_at_percentile(share * 100))


class Arrivals:
    """The load generator at a fixed rate; ``client`` knows what the requests compute."""

    def __init__(self, client: Client) -> None:
        state = lua.runtime()
        self._client = client
        self._drive = lua.load(state, "arrivals.lua")[b"drive"]
        self._table = state.table_from

    def measure(
        self, endpoint: Endpoint, kind: Scenario, connections: int, rate: float, seconds: float
    ) -> Arrived:
        """So many requests a second over so many connections. LuaError, AnswerError as others."""
        with ExitStack() as stack:
            sessions = [stack.enter_context(Session(endpoint)) for _ in range(connections)]
            for session in sessions:
                session.prepare(kind, 1, self._client.cpu)
            found = self._drive_all(sessions, rate, seconds)
            if not found.overloaded:
                for session in sessions:
                    session.verify()
        return found

    def _drive_all(self, sessions: list[Session], rate: float, seconds: float) -> Arrived:
        first = sessions[0]
        _, answered, took, cpu, overloaded, slowest, counts, _ = lua.call(
            self._drive,
            self._table([session.socket.fileno() for session in sessions]),
            first.batch,
            first.answer_size,
            rate,
            seconds,
            PATIENCE,
        )
        return Arrived(
            rate,
            answered / took if took else 0.0,
            bool(overloaded),
            cpu / max(took, seconds),
            histogram(counts, slowest),
        )


def histogram(counts: bytes, slowest: float) -> Any:
    """An HdrHistogram of microseconds from the counters of arrivals.lua, which are 1 % wide."""
    made = HdrHistogram(1, _LONGEST, _DIGITS)
    counters = array.array("I")
    counters.frombytes(counts)
    for bucket, count in enumerate(counters):
        if count:
            middle = min(GROWTH ** (bucket + 0.5), max(slowest, 1.0))
            made.record_value(max(1, round(middle)), count)
    return made
