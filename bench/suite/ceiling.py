"""One worker beside a raw echo of the same bytes: what of the machine is left for the server."""

from __future__ import annotations

from typing import Final

from bench.client import Load
from bench.outcome import Outcome
from bench.rounds import ceiling, take_turns
from bench.scenarios import SCENARIOS
from bench.suite import loads
from bench.suite.context import Context

LOADS: Final = (("exists", 8, 128, 0.45), ("ping", 8, 128, 0.65), ("exists", 50, 1, 0.9))
"""Kind, connections, requests on the way on each, promised share of the echo's rate."""


def run(context: Context) -> Outcome:
    """Each load against the server and an echo that gives its answers."""
    plan = context.plan()
    groups, promises = [], []
    with context.servers(["beespace:1" if context.is_own else context.subject]) as (endpoint,):
        for kind, conns, depth, limit in LOADS:
            load = Load(SCENARIOS[kind], conns, depth)
            with ceiling(context.client(), load, endpoint) as echo:
                found = take_turns(context.client(), load, [endpoint, echo], plan, context.progress)
            groups.append(found)
            promises.append(loads.times(found, limit))
    return Outcome([loads.table(groups)], promises, figures={"series": loads.figures(groups)})
