"""What the project promises itself, as data, and whether a run kept it.

A bar compares two servers of the same run, so it says nothing about the machine. ``bench.grid``
derives the loads of ``compare`` from them.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from bench.rounds import Series
from bench.stats import ratio


class Role(enum.StrEnum):
    """Which server, in a comparison."""

    SUBJECT = "subject"
    """With all its workers."""
    SINGLE = "single"
    """With one worker."""
    REFERENCE = "reference"
    """Tarantool."""
    CEILING = "ceiling"
    """The echo server."""


class Figure(enum.StrEnum):
    """Which number of a series."""

    RATE = "requests/s"
    P99 = "p99"


@dataclass(frozen=True)
class Bar:
    """``figure`` of ``who`` over that of ``than`` at one load."""

    scenario: str
    connections: int
    depth: int
    who: Role
    than: Role
    figure: Figure
    limit: float

    def holds(self, found: float) -> bool:
        """Rates must reach the limit, latencies must not exceed it."""
        return found >= self.limit if self.figure is Figure.RATE else found <= self.limit


@dataclass(frozen=True)
class Verdict:
    """A bar, and what a run found; ``ratio`` is None where a side was not measured."""

    bar: Bar
    ratio: float | None

    @property
    def met(self) -> bool | None:
        """None when it was not measured."""
        return None if self.ratio is None else self.bar.holds(self.ratio)


def _against_reference(scenario: str, connections: int, depth: int, limit: float) -> Bar:
    return Bar(scenario, connections, depth, Role.SUBJECT, Role.REFERENCE, Figure.RATE, limit)


BARS: Final = (
    _against_reference("exists", 8, 128, 8.0),
    _against_reference("peer", 8, 128, 8.0),
    _against_reference("id", 8, 128, 8.0),
    _against_reference("eval", 8, 128, 8.0),
    _against_reference("ping", 8, 128, 1.8),
    _against_reference("cpu", 8, 16, 1.7),
    _against_reference("exists", 50, 1, 1.5),
    _against_reference("sleep", 50, 200, 1.8),
    Bar("exists", 50, 1, Role.SUBJECT, Role.REFERENCE, Figure.P99, 1.0),
    Bar("exists", 8, 128, Role.SINGLE, Role.CEILING, Figure.RATE, 0.45),
)


def judge(bars: Iterable[Bar], series: Iterable[tuple[Role, Series]]) -> list[Verdict]:
    """Hold a run's series against the bars."""
    known = {
        (each.load.scenario.name, each.load.connections, each.load.depth, role): each
        for role, each in series
    }

    def figure(bar: Bar, role: Role) -> float | None:
        found = known.get((bar.scenario, bar.connections, bar.depth, role))
        if found is None:
            return None
        return found.rate if bar.figure is Figure.RATE else found.quantile(0.99)

    verdicts = []
    for bar in bars:
        own, other = figure(bar, bar.who), figure(bar, bar.than)
        missing = own is None or other is None
        verdicts.append(Verdict(bar, None if missing else ratio(own or 0.0, other or 0.0)))
    return verdicts
