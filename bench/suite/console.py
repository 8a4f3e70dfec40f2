"""Requests beside a console that prints much, and small statements over it."""

from __future__ import annotations

from dataclasses import asdict

from bench import console, report
from bench.outcome import Outcome, Promise
from bench.suite.context import Context


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
        promises,
        figures={
            "beside": [asdict(each) for each in besides],
            "statements": [{**asdict(each), "rate": each.rate} for each in costs],
        },
    )
