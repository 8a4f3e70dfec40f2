"""Ten thousand requests that sleep a millisecond at a time: what a fiber costs."""

from __future__ import annotations

from typing import Final

from bench.outcome import Outcome
from bench.suite import loads
from bench.suite.context import Context

LIMIT: Final = 1.8
"""Times the reference's rate."""


def run(context: Context) -> Outcome:
    """50 connections with 200 such requests each."""
    conns, depth = context.size((50, 200), (4, 10))
    with context.servers() as endpoints:
        found = loads.measure(context, context.plan(), endpoints, "sleep", conns, depth)
    return Outcome(
        [loads.table([found])],
        [loads.times(found, LIMIT)],
        figures={"series": loads.figures([found])},
    )
