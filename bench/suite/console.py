"""Requests beside a console that prints much, and small statements over it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Final

from bench import console, report
from bench.console import StatementFigure
from bench.outcome import Outcome, Promise
from bench.stats import ratio
from bench.suite.context import Context

STATEMENTS_BAR: Final = 1.5
"""Times the other server's rate of small statements, however many are typed at a time."""


def run(context: Context) -> Outcome:
    """One worker, so that the console and the requests share it."""
    own = "beespace:1"
    names = [own, *(name for name in context.started if name != context.subject)]
    plan = context.plan()
    tasks = context.size(console.BUSY_TASKS, ())
    batches = context.size(console.BATCHES, 1)
    with context.servers(names) as endpoints:
        costs = console.statements(endpoints, plan, context.progress, batches)
        besides = [
            figure
            for endpoint in endpoints
            for figure in console.beside(endpoint, plan, context.progress, tasks)
        ]
    promises = [
        Promise(
            f"requests beside a console that {each.summary}, p99",
            console.P99_BAR / 1000,
            each.p99 / 1000,
            "ms",
            at_least=False,
        )
        for each in besides
        if each.target == own and each.answer_seconds is not None
    ]
    return Outcome(
        [report.beside(besides), report.statements(costs)],
        [*promises, *rates(costs)],
        figures={
            "beside": [asdict(each) for each in besides],
            "statements": [{**asdict(each), "rate": each.rate} for each in costs],
        },
    )


def rates(costs: Sequence[StatementFigure]) -> Iterator[Promise]:
    """What is promised of small statements; the first server is ours, the last the other."""
    for depth in console.DEPTHS:
        judged = [each for each in costs if each.depth == depth]
        one, other = judged[0], judged[-1]
        times = ratio(one.rate, other.rate) if len(judged) > 1 else None
        about = f"small statements over a console, {depth} at a time"
        yield Promise(f"{about}: {one.target} / {other.target}", STATEMENTS_BAR, times, "x")
