"""One round of traffic against one server.

``bench.rounds`` calls :meth:`Client.measure` for each server in turn. A round opens its
connections, has each one's batch answered and checked, lets load.lua drive them, first without
counting, and checks the answers again. The CPU time of the client over the counted part is
measured, because a client that is always busy measures itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Final

from bench import lua, packets, usage
from bench.scenarios import CPU_TARGET_MICROSECONDS, Scenario
from bench.session import Endpoint, Session
from bench.stats import Latency

MOST_SECONDS: Final = 60.0
"""Longest part of a round."""

MOST_CONNECTIONS: Final = 10_000
MOST_DEPTH: Final = 100_000

BUSY_CLIENT: Final = 0.9
"""Share of a core from which on the client counts as the limit."""

NOISY_MACHINE: Final = 0.2
"""Share of a core that others may use before the machine counts as not quiet."""

_CALIBRATION_TURNS: Final = 1_000_000
_CALIBRATION_REPEATS: Final = 9
_CALIBRATION: Final = b"""
local turns, repeats = ...
local best = math.huge
for _ = 1, repeats do
  local from = os.clock()
  bench_cpu(turns)
  best = math.min(best, os.clock() - from)
end
return best
"""


@dataclass(frozen=True)
class Load:
    """A scenario at so many connections with so many requests on the way on each."""

    scenario: Scenario
    connections: int
    depth: int

    def __str__(self) -> str:
        return f"{self.scenario.name} {self.connections}x{self.depth}"


@dataclass(frozen=True)
class Measure:
    """What one round found."""

    requests: int
    seconds: float
    latency: Latency
    client_cpu: float
    """Seconds."""
    server_cpu: float | None
    """Seconds, over all processes of the server; None when they cannot be seen."""
    machine_cpu: float
    """Seconds, over everything that ran on the machine."""

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds

    @property
    def client_share(self) -> float:
        """How much of one core the client was busy."""
        return self.client_cpu / self.seconds

    @property
    def other_share(self) -> float | None:
        """How much of one core went to neither client nor server; None when it cannot be known."""
        if self.server_cpu is None:
            return None
        return max(0.0, self.machine_cpu - self.client_cpu - self.server_cpu) / self.seconds


class Client:
    """The load generator; one a process is enough."""

    def __init__(self) -> None:
        state = lua.runtime()
        self._load = lua.load(state, "load.lua")
        self._table = state.table_from
        lua.load(state, "app.lua")
        self.cpu = self._calibrate(state)
        """Turns of the ``cpu`` scenario and what they come to."""

    def measure(self, endpoint: Endpoint, load: Load, warmup: float, seconds: float) -> Measure:
        """One round. LuaError or AnswerError when the traffic or the answers went wrong."""
        if not 0 < seconds <= MOST_SECONDS or not 0 <= warmup <= MOST_SECONDS:
            raise ValueError(f"a round of {seconds} s, expected up to {MOST_SECONDS:g}")
        with self._sessions(endpoint, load) as sessions:
            measure = self._traffic(endpoint, sessions, load.depth, warmup, seconds)
            for session in sessions:
                session.verify()
        return measure

    def sample(self, endpoint: Endpoint, scenario: Scenario) -> tuple[bytes, bytes]:
        """One request of a scenario and the server's answer to it, as bytes."""
        with Session(endpoint) as session:
            session.prepare(scenario, 1, self.cpu)
            return session.batch, session.exchange(session.batch, 1)

    @contextmanager
    def _sessions(self, endpoint: Endpoint, load: Load) -> Iterator[list[Session]]:
        with ExitStack() as stack:
            sessions = [stack.enter_context(Session(endpoint)) for _ in range(load.connections)]
            for session in sessions:
                session.prepare(load.scenario, load.depth, self.cpu)
            yield sessions

    def _traffic(
        self,
        endpoint: Endpoint,
        sessions: Sequence[Session],
        depth: int,
        warmup: float,
        seconds: float,
    ) -> Measure:
        lua.call(
            self._load[b"open"],
            self._table([session.socket.fileno() for session in sessions]),
            self._table([session.batch for session in sessions]),
            self._table([session.answer_size for session in sessions]),
        )
        try:
            lua.call(self._load[b"start"])
            lua.call(self._load[b"drive"], warmup)
            machine, before = usage.machine_seconds(), _server_cpu(endpoint)
            batches, took, cpu, _, slowest, counts = lua.call(self._load[b"drive"], seconds)
            after, machine = _server_cpu(endpoint), usage.machine_seconds() - machine
            lua.call(self._load[b"drain"])
        finally:
            lua.call(self._load[b"close"])
        used = None if before is None or after is None else after - before
        latency = Latency.from_bytes(counts, slowest)
        return Measure(round(batches) * depth, took, latency, cpu, used, machine)

    @staticmethod
    def _calibrate(state: Any) -> tuple[int, int]:
        run = state.eval(b"function(text, ...) return assert(loadstring(text))(...) end")
        best = lua.call(run, _CALIBRATION, _CALIBRATION_TURNS, _CALIBRATION_REPEATS)
        turns = max(1, round(_CALIBRATION_TURNS * CPU_TARGET_MICROSECONDS * 1e-6 / best))
        result = lua.call(run, b"return bench_cpu(...)", turns)
        return turns, round(result)


def _server_cpu(endpoint: Endpoint) -> float | None:
    return None if endpoint.pid is None else usage.cpu_seconds(endpoint.pid)


def wait_for_ping(endpoint: Endpoint) -> str:
    """The greeting's first line, after the server has answered a PING."""
    with Session(endpoint) as session:
        ping = packets.request(packets.TYPE_PING, 1, {})
        packets.decode(session.exchange(ping, 1)).data()
        return session.greeting
