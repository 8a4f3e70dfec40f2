"""Requests a second of each kind, closed loop; and how their cost grows with connections."""

from __future__ import annotations

from typing import Final

from bench.outcome import Outcome
from bench.suite import loads
from bench.suite.context import Context

KINDS: Final = (
    ("exists", 8.0),
    ("peer", 8.0),
    ("id", 8.0),
    ("eval", 8.0),
    ("ping", 1.8),
    ("call", None),
    ("map", None),
)
"""Kinds of requests, and how many times the reference's rate is promised at 8x128."""

GRID: Final = ((1, 8, 50, 200), (1, 16, 128))
"""Connections, and requests on the way on each."""


def run(context: Context) -> Outcome:
    """All kinds at 8x128 and exists at 50x1, then exists over the grid."""
    plan = context.plan()
    groups, promises = [], []
    with context.servers() as endpoints:
        for kind, limit in KINDS:
            found = loads.measure(context, plan, endpoints, kind, 8, 128)
            groups.append(found)
            promises += [] if limit is None else [loads.times(found, limit)]
        found = loads.measure(context, plan, endpoints, "exists", 50, 1)
        groups.append(found)
        promises += [loads.times(found, 1.5), loads.times(found, 1.0, quantile=0.99)]
        connections, depths = context.size(GRID, ((1, 8), (16,)))
        grid = {
            depth: [
                loads.measure(context, plan, endpoints, "exists", conns, depth)
                for conns in connections
            ]
            for depth in depths
        }
    everything = [*groups, *(group for row in grid.values() for group in row)]
    return Outcome(
        tables=[loads.table(everything)],
        promises=promises,
        curves=[
            loads.by_connections(row, f"exists, {depth} at a time on each connection")
            for depth, row in grid.items()
        ],
        figures={"series": loads.figures(everything)},
    )
