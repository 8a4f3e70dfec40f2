"""Messages from sessions of one worker to sessions of another one."""

from __future__ import annotations

from bench import messages, report
from bench.outcome import Outcome, Promise
from bench.suite.context import Context


def run(context: Context) -> Outcome:
    """As fast as they go, and at the promised rate."""
    count = context.size(200_000, 2_000)
    plan = context.plan()
    rate = context.size(int(messages.RATE_BAR), 10_000)
    with context.servers([context.subject]) as (endpoint,):
        full, paced = messages.measure(endpoint, count, rate, plan, context.progress)
    promises = [
        Promise("messages of one worker to another", messages.RATE_BAR, full.found_rate, "/s"),
        Promise(
            f"half of the messages at {rate:,}/s",
            messages.P50_BAR,
            paced.p50,
            "us",
            at_least=False,
        ),
    ]
    rows = [
        {"asked": e.rate, "rate": e.found_rate, "p50": e.p50, "p99": e.p99} for e in (full, paced)
    ]
    return Outcome([report.messages([full, paced])], promises, figures={"messages": rows})
