"""Connect, greeting, one call, close: clients a second, and what each costs the server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Final

from bench import churn
from bench.churn import ChurnFigure
from bench.outcome import Curve, Line, Outcome, Promise
from bench.report import CLIENT_BOUND
from bench.stats import ratio
from bench.suite.context import Context
from bench.table import Table

CLIENTS: Final = (1, 16, 64, 256)
JUDGED: Final = 64
"""Clients at a time that the promise is about."""


def run(context: Context) -> Outcome:
    """Some numbers of clients at a time."""
    plan = context.plan()
    visits = context.size(10_000, 500)
    groups: list[list[ChurnFigure]] = []
    with context.servers() as endpoints:
        for clients in context.size(CLIENTS, (JUDGED,)):
            found = churn.measure(
                context.client(), endpoints, clients, visits, plan, context.progress
            )
            groups.append(found)
    judged = next(group for group in groups if group[0].clients == JUDGED)
    times = ratio(judged[0].rate, judged[-1].rate) if len(judged) > 1 else None
    about = f"churn, {JUDGED} clients at a time: {' / '.join(each.target for each in judged)}"
    every = [each for group in groups for each in group]
    return Outcome(
        [_table(groups)],
        [Promise(about, churn.LIMIT, times, "x", client_bound=judged[0].client_bound)],
        [_curve(groups)],
        {"churn": [{**asdict(each), "client_bound": each.client_bound} for each in every]},
    )


def _table(groups: Sequence[Sequence[ChurnFigure]]) -> Table:
    rows, every = [], [each for group in groups for each in group]
    for group in groups:
        for each in group:
            last = each is group[-1]
            rows.append(
                (
                    str(each.clients),
                    each.target,
                    f"{each.rate:,.0f}",
                    f"{each.spread:.0%}",
                    "" if last else f"{ratio(each.rate, group[-1].rate):.2f}x",
                    f"{each.p50:,.0f}",
                    f"{each.p99:,.0f}",
                    "-" if each.server_cpu is None else f"{each.server_cpu:.1f}",
                    f"{each.client_share:.0%}" + ("!" if each.client_bound else ""),
                )
            )
    columns = ("at a time", "server", "clients/s", "spread", "ratio", "p50 us", "p99 us")
    return Table(
        "Clients that come and go (medians)",
        (*columns, "server us each", "client busy"),
        tuple(rows),
        notes=(CLIENT_BOUND,) if any(each.client_bound for each in every) else (),
    )


def _curve(groups: Sequence[Sequence[ChurnFigure]]) -> Curve:
    lines = [
        Line(
            groups[0][at].target,
            tuple((group[at].clients, 1e6 / group[at].rate) for group in groups),
        )
        for at in range(len(groups[0]))
    ]
    return Curve("clients that come and go", "clients at a time", "us a client", tuple(lines))
