"""Numbers from numbers: medians, spreads, ratios, and latencies from a histogram.

Pure functions, called by ``bench.rounds``, ``bench.bars``, ``bench.report``, ``bench.messages`` and
``bench.console``.
"""

from __future__ import annotations

import array
import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

GROWTH: Final = 1.01
"""Bucket b of a latency histogram holds GROWTH^b to GROWTH^(b+1) microseconds (see load.lua)."""


@dataclass(frozen=True)
class Latency:
    """How long batches took, microseconds: a histogram, and the slowest exactly."""

    counts: tuple[int, ...]
    slowest: float

    @classmethod
    def from_bytes(cls, data: bytes, slowest: float) -> Latency:
        """From native 32-bit counters, as load.lua returns them."""
        counters = array.array("I")
        counters.frombytes(data)
        return cls(tuple(counters), slowest)

    @classmethod
    def merge(cls, parts: Sequence[Latency]) -> Latency:
        """All batches of several rounds together."""
        if not parts:
            return cls((), 0.0)
        columns = zip(*(part.counts for part in parts), strict=True)
        return cls(tuple(map(sum, columns)), max(part.slowest for part in parts))

    @property
    def total(self) -> int:
        """Batches counted."""
        return sum(self.counts)

    def quantile(self, share: float) -> float:
        """Microseconds that ``share`` (0 to 1) of the batches did not exceed, within 1 %."""
        rank, seen = max(1, math.ceil(self.total * share)), 0
        for bucket, count in enumerate(self.counts):
            seen += count
            if seen >= rank:
                return float(min(GROWTH ** (bucket + 0.5), self.slowest))
        return 0.0


def median(values: Iterable[float]) -> float:
    """The middle value, 0 of none."""
    found = list(values)
    return statistics.median(found) if found else 0.0


def quantile(values: Sequence[float], share: float) -> float:
    """The value that ``share`` (0 to 1) of the values do not exceed, exactly; 0 of none."""
    found = sorted(values)
    return float(found[max(0, math.ceil(len(found) * share) - 1)]) if found else 0.0


def spread(values: Sequence[float]) -> float:
    """Distance from the lowest to the highest as a share of the median."""
    middle = median(values)
    return (max(values) - min(values)) / middle if middle else 0.0


def ratio(value: float, other: float) -> float:
    """``value`` over ``other``, infinite over nothing."""
    return value / other if other else math.inf
