"""Clients that come and go: how many a second, how long each takes, what each costs the server.

Called by ``bench.suite.churn``; the timed path is churn.lua. Over TCP on 127.0.0.1 only, where a
client may come from any address of the loopback network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bench import lua, usage
from bench.client import BUSY_CLIENT, Client
from bench.packets import AnswerError
from bench.rounds import Plan, Progress
from bench.scenarios import SCENARIOS
from bench.session import Endpoint
from bench.stats import Latency, median, spread
from bench.targets import TargetError

LIMIT: Final = 1.0
"""Times the reference's rate, at least."""


@dataclass(frozen=True)
class ChurnFigure:
    """So many clients at a time against one server; medians of the rounds."""

    target: str
    clients: int
    rates: tuple[float, ...]
    """Clients served a second, by round."""
    p50: float
    p99: float
    """Microseconds from connect to answer."""
    server_cpu: float | None
    """Microseconds a client; None when it cannot be seen."""
    client_share: float
    """How much of one core the load generator was busy."""

    @property
    def rate(self) -> float:
        """Clients a second, median."""
        return median(self.rates)

    @property
    def spread(self) -> float:
        """Of the rates, as a share of the median."""
        return spread(self.rates)

    @property
    def client_bound(self) -> bool:
        """True when the load generator was the limit."""
        return self.client_share >= BUSY_CLIENT


@dataclass(frozen=True)
class _Round:
    rate: float
    latency: Latency
    server_cpu: float | None
    client_share: float


def measure(
    client: Client,
    endpoints: Sequence[Endpoint],
    clients: int,
    visits: int,
    plan: Plan,
    progress: Progress,
) -> list[ChurnFigure]:
    """``visits`` clients a round, ``clients`` at a time, the servers in turns."""
    state = lua.runtime()
    visit = lua.load(state, "churn.lua")[b"visit"]
    found: list[list[_Round]] = [[] for _ in endpoints]
    for turn in plan.turns():
        for endpoint, rounds in zip(endpoints, found, strict=True):
            progress(f"{clients} clients  round {turn}/{plan.rounds}  {endpoint.name}")
            try:
                rounds.append(_round(visit, client, endpoint, clients, visits))
            except (OSError, AnswerError, lua.LuaError) as error:
                raise TargetError(f"churn against {endpoint.name!r}: {error}") from error
    return [
        _figure(endpoint.name, clients, rounds)
        for endpoint, rounds in zip(endpoints, found, strict=True)
    ]


def _round(visit: object, client: Client, endpoint: Endpoint, clients: int, visits: int) -> _Round:
    if endpoint.address.host != "127.0.0.1" or endpoint.address.path is not None:
        raise AnswerError(f"at {endpoint.address}, expected a port of 127.0.0.1")
    request, answer = client.sample(endpoint, SCENARIOS["call"])
    before = None if endpoint.pid is None else usage.cpu_seconds(endpoint.pid)
    port = endpoint.address.port
    seconds, cpu, slowest, counts = lua.call(visit, port, request, answer, visits, clients)
    used = None
    if before is not None and endpoint.pid is not None:
        used = (usage.cpu_seconds(endpoint.pid) - before) / visits * 1e6
    return _Round(visits / seconds, Latency.from_bytes(counts, slowest), used, cpu / seconds)


def _figure(target: str, clients: int, rounds: Sequence[_Round]) -> ChurnFigure:
    costs = [each.server_cpu for each in rounds if each.server_cpu is not None]
    return ChurnFigure(
        target,
        clients,
        tuple(each.rate for each in rounds),
        median(each.latency.quantile(0.5) for each in rounds),
        median(each.latency.quantile(0.99) for each in rounds),
        median(costs) if costs else None,
        median(each.client_share for each in rounds),
    )
