"""60,000 sessions counted, and listed page by page beside requests of another session."""

from __future__ import annotations

from dataclasses import asdict
from typing import Final

from bench import listing, report
from bench.outcome import Outcome, Promise
from bench.suite.context import Context

_SMOKE: Final = 500


def run(context: Context) -> Outcome:
    """The slowest count, and what a list of everything costs others."""
    sessions, plan = context.size(listing.SESSIONS, _SMOKE), context.plan()
    with listing.filled(sessions, context.progress) as endpoint:
        counts = listing.counts(endpoint, plan)
        pages = listing.pages(endpoint, plan, context.progress, plan.seconds)
    slowest = max(each.seconds for each in counts)
    promises = [
        Promise(
            f"{sessions:,} sessions counted, slowest filter",
            listing.COUNT_BAR * 1000,
            slowest * 1000,
            "ms",
            at_least=False,
        ),
        Promise(
            f"requests beside a list of {sessions:,}, p99",
            listing.P99_BAR / 1000,
            pages[-1].p99 / 1000,
            "ms",
            at_least=False,
        ),
    ]
    return Outcome(
        [report.counts(counts, sessions), report.pages(pages)],
        promises,
        figures={
            "counts": [asdict(each) for each in counts],
            "pages": [asdict(each) for each in pages],
        },
    )
