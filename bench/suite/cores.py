"""A Lua function of 0.1 ms on one worker, two, and so on: whether another core is another core."""

from __future__ import annotations

import os
from typing import Final

from bench.outcome import Curve, Line, Outcome, Promise
from bench.stats import ratio
from bench.suite import loads
from bench.suite.context import Context

SECOND_CORE: Final = 1.8
"""Times the rate of one worker that two have on two cores, at least."""
REFERENCE: Final = 1.7
"""Times the reference's rate."""
MOST_WORKERS: Final = 8


def run(context: Context) -> Outcome:
    """Every number of workers at once idle but the one that is measured, in turns."""
    cores = len(os.sched_getaffinity(0))
    counts = [count for count in range(1, MOST_WORKERS + 1) if count <= max(2, cores)]
    names = [f"beespace:{count}" for count in counts]
    others = [] if context.reference is None else [context.reference]
    plan = context.plan()
    with context.servers([*names, *others]) as endpoints:
        found = loads.measure(context, plan, endpoints, "cpu", 8, 16)
    one, two = found[0], found[1]
    # What the load generator takes of the two cores is not the server's to use.
    free = 2 - two.client_share if cores == 2 else 2.0
    gain = ratio(two.rate, one.rate) * 2 / free
    promises = [Promise("cpu 8x16: second worker on a second core", SECOND_CORE, gain, "x")]
    if others:
        promises.append(loads.times([two, found[-1]], REFERENCE))
    points = tuple((count, 1e6 / each.rate) for count, each in zip(counts, found, strict=False))
    curve = Curve("cpu 8x16", "workers", "us a request", (Line("beespace", points),))
    note = "the gain counts the cores that the load generator leaves to the server"
    return Outcome(
        [loads.table([found])], promises, [curve], {"series": loads.figures([found])}, [note]
    )
