"""Taking turns: the same load against several servers, round after round.

Rounds are interleaved (A B C A B C ...), so that a machine that slows down slows all of them.
Called by ``bench.cli`` and ``bench.grid``; the figures go to ``bench.report`` and ``bench.bars``.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from bench import lua, targets
from bench.client import BUSY_CLIENT, NOISY_MACHINE, Client, Load, Measure
from bench.packets import AnswerError
from bench.session import Endpoint
from bench.stats import Latency, median, spread
from bench.targets import TargetError

LEAST_ROUNDS: Final = 3
"""Rounds that are measured however long they take. A smoke run has fewer."""


@dataclass(frozen=True)
class Plan:
    """How long and how often."""

    rounds: int = 5
    seconds: float = 1.5
    warmup: float = 0.5
    deadline: float = math.inf
    """Of the monotonic clock: behind it, rounds after the third one are left out."""

    def turns(self) -> Iterator[int]:
        """The numbers of the rounds, from 1; no figure comes of fewer than three."""
        for turn in range(1, self.rounds + 1):
            if turn > LEAST_ROUNDS and time.monotonic() > self.deadline:
                return
            yield turn


@dataclass(frozen=True)
class Series:
    """All rounds of one load against one server."""

    load: Load
    target: str
    rounds: tuple[Measure, ...]

    @property
    def rate(self) -> float:
        """Requests a second, median of the rounds."""
        return median(each.rate for each in self.rounds)

    @property
    def spread(self) -> float:
        """Between the slowest and the fastest round, as a share of the median."""
        return spread([each.rate for each in self.rounds])

    @property
    def latency(self) -> Latency:
        """Over all rounds."""
        return Latency.merge([each.latency for each in self.rounds])

    def quantile(self, share: float) -> float:
        """Microseconds, median of the rounds' own quantiles."""
        return median(each.latency.quantile(share) for each in self.rounds)

    @property
    def server_cost(self) -> float | None:
        """Microseconds of the server's CPU a request, median; None when it cannot be seen."""
        costs = [
            each.server_cpu / each.requests * 1e6
            for each in self.rounds
            if each.server_cpu is not None and each.requests
        ]
        return median(costs) if costs else None

    @property
    def client_cost(self) -> float:
        """Microseconds of the client's CPU a request, median."""
        return median(each.client_cpu / max(1, each.requests) * 1e6 for each in self.rounds)

    @property
    def client_share(self) -> float:
        """How much of one core the client was busy, median."""
        return median(each.client_share for each in self.rounds)

    @property
    def other_share(self) -> float | None:
        """How much of one core went to others, median; None when it cannot be known."""
        known = [each.other_share for each in self.rounds if each.other_share is not None]
        return median(known) if known else None

    @property
    def disturbed(self) -> bool:
        """True when others used the machine too."""
        return self.other_share is not None and self.other_share > NOISY_MACHINE

    @property
    def client_bound(self) -> bool:
        """True when the client was the limit."""
        return self.client_share >= BUSY_CLIENT


Progress = Callable[[str], None]
"""Told what begins, one short line at a time."""


@contextmanager
def naming(load: Load, endpoint: Endpoint) -> Iterator[None]:
    """Turn what goes wrong inside into a TargetError that says with which load and server."""
    try:
        yield
    except (OSError, AnswerError, lua.LuaError) as error:
        raise TargetError(f"{load} against {endpoint.name!r}: {error}") from error


@contextmanager
def ceiling(client: Client, load: Load, teacher: Endpoint) -> Iterator[Endpoint]:
    """An echo server that gives the answers ``teacher`` gives to this load."""
    with naming(load, teacher):
        sample = client.sample(teacher, load.scenario)
    with targets.echo(*sample) as endpoint:
        yield endpoint


def take_turns(
    client: Client, load: Load, endpoints: Sequence[Endpoint], plan: Plan, progress: Progress
) -> list[Series]:
    """Measure every server ``plan.rounds`` times; TargetError when one fails, naming it."""
    found: list[list[Measure]] = [[] for _ in endpoints]
    for turn in plan.turns():
        for endpoint, measures in zip(endpoints, found, strict=True):
            progress(f"{load}  round {turn}/{plan.rounds}  {endpoint.name}")
            with naming(load, endpoint):
                measure = client.measure(endpoint, load, plan.warmup, plan.seconds)
            measures.append(measure)
    return [
        Series(load, endpoint.name, tuple(measures))
        for endpoint, measures in zip(endpoints, found, strict=True)
    ]
