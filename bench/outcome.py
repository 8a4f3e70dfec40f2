"""What a scenario of the suite found: tables for a person, figures for a program, promises, curves.

Pure. The modules of ``bench.suite`` make outcomes, ``bench.run`` prints and ``bench.page`` draws
them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.table import Table


@dataclass(frozen=True)
class Promise:
    """A bar, and what the run found; ``found`` is None when it was not measured."""

    about: str
    limit: float
    found: float | None
    unit: str
    at_least: bool = True
    client_bound: bool = False
    """Whether the load generator was the limit: the server may be faster."""

    @property
    def met(self) -> bool | None:
        """None when it was not measured."""
        if self.found is None:
            return None
        return self.found >= self.limit if self.at_least else self.found <= self.limit

    @property
    def outcome(self) -> str:
        """For a table."""
        return "not measured" if self.met is None else "met" if self.met else "NOT MET"

    @property
    def text(self) -> str:
        """What was found."""
        mark = "!" if self.client_bound else ""
        return "-" if self.found is None else f"{number(self.found)} {self.unit}{mark}"

    @property
    def bar(self) -> str:
        """The limit as a text."""
        return f"{'at least' if self.at_least else 'at most'} {number(self.limit)} {self.unit}"


@dataclass(frozen=True)
class Line:
    """Cost against size: points (size, cost), sizes ascending."""

    name: str
    points: tuple[tuple[float, float], ...]

    @property
    def slope(self) -> float | None:
        """The power of the size that the cost grows with: 0 is flat, 1 is proportional.

        Least squares through the logarithms; None with fewer than two sizes.
        """
        known = [(math.log(x), math.log(y)) for x, y in self.points if x > 0 and y > 0]
        middle_x = sum(x for x, _ in known) / max(1, len(known))
        middle_y = sum(y for _, y in known) / max(1, len(known))
        width = sum((x - middle_x) ** 2 for x, _ in known)
        if not width:
            return None
        return sum((x - middle_x) * (y - middle_y) for x, y in known) / width

    @property
    def grows(self) -> str:
        """The slope as a text, empty with fewer than two sizes."""
        return "" if self.slope is None else f"{round(self.slope, 2) + 0.0:+.2f}"


@dataclass(frozen=True)
class Curve:
    """A picture: lines over one axis of sizes. Both axes are logarithmic."""

    title: str
    x: str
    y: str
    lines: tuple[Line, ...]
    growth: bool = True
    """Whether the slopes say something: cost against size."""


@dataclass(frozen=True)
class Outcome:
    """Everything one scenario found."""

    tables: Sequence[Table]
    promises: Sequence[Promise] = ()
    curves: Sequence[Curve] = ()
    figures: Mapping[str, Any] = field(default_factory=dict)
    """Plain values for JSON."""
    notes: Sequence[str] = ()


def slopes(curves: Sequence[Curve]) -> Table | None:
    """How the costs of all growing curves grow; None where none has two sizes."""
    rows = [
        (curve.title, line.name, line.grows)
        for curve in curves
        if curve.growth
        for line in curve.lines
        if line.grows
    ]
    if not rows:
        return None
    note = "the power of the size that the cost grows with: 0 is flat, 1 proportional"
    return Table("Growth", ("cost", "server", "slope"), tuple(rows), 2, (note,))


def promises(found: Sequence[Promise]) -> Table:
    """One row a promise."""
    rows = tuple(
        (
            each.about,
            each.bar,
            each.text,
            each.outcome,
        )
        for each in found
    )
    limited = any(each.client_bound and each.found is not None for each in found)
    notes = ("! client: it was the limit, the server may be faster",) if limited else ()
    return Table("Promises", ("what", "bar", "found", "outcome"), rows, 1, notes)


def number(value: float) -> str:
    """Three digits or so, with separators for large numbers."""
    if value and abs(value) < 999.5:
        return f"{value:.3g}"
    return f"{value:,.0f}"
