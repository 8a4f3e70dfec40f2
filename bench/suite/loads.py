"""Closed-loop loads, as several scenarios need them: measured, promised, drawn, written down."""

from __future__ import annotations

from collections.abc import Sequence

from bench import report
from bench.client import Load
from bench.outcome import Curve, Line, Promise
from bench.rounds import Plan, Series, take_turns
from bench.scenarios import SCENARIOS
from bench.session import Endpoint
from bench.stats import ratio
from bench.suite.context import Context
from bench.table import Table


def measure(
    context: Context, plan: Plan, endpoints: Sequence[Endpoint], name: str, conns: int, depth: int
) -> list[Series]:
    """One kind of request at one load, the servers in turns."""
    load = Load(SCENARIOS[name], conns, depth)
    return take_turns(context.client(), load, endpoints, plan, context.progress)


def times(found: Sequence[Series], limit: float, *, quantile: float | None = None) -> Promise:
    """The rate of the first server over that of the last one; or that quantile of the latency."""
    first, last = found[0], found[-1]
    known = len(found) > 1
    about = f"{first.load}: {first.target}" + (f" / {last.target}" if known else "")
    if quantile is None:
        value = ratio(first.rate, last.rate) if known else None
        return Promise(f"{about}, requests/s", limit, value, "x", client_bound=first.client_bound)
    value = ratio(first.quantile(quantile), last.quantile(quantile)) if known else None
    return Promise(f"{about}, p{quantile * 100:g}", limit, value, "x", at_least=False)


def table(groups: Sequence[Sequence[Series]]) -> Table:
    """All figures of the loads."""
    return report.throughput(groups)


def figures(groups: Sequence[Sequence[Series]]) -> list[object]:
    """All figures of the loads, for JSON."""
    return [report.as_json(series) for group in groups for series in group]


def by_connections(groups: Sequence[Sequence[Series]], title: str) -> Curve:
    """Microseconds a request (of all cores together) against connections, a line each server."""
    names = [series.target for series in groups[0]]
    lines = []
    for at, name in enumerate(names):
        points = tuple((group[at].load.connections, 1e6 / group[at].rate) for group in groups)
        lines.append(Line(name, points))
    return Curve(title, "connections", "us a request", tuple(lines))
