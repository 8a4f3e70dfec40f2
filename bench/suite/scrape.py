"""Metrics of a server with 60,000 sessions."""

from __future__ import annotations

from dataclasses import asdict
from typing import Final

from bench import listing, report, scrape
from bench.outcome import Outcome, Promise
from bench.suite.context import Context

_SMOKE: Final = 500
_SCRAPES: Final = 10


def run(context: Context) -> Outcome:
    """The slower text, and what the workers notice."""
    sessions, plan = context.size(listing.SESSIONS, _SMOKE), context.plan()
    with scrape.filled(sessions, context.progress) as site:
        figures = scrape.scrapes(site, context.size(_SCRAPES, 1), context.progress)
        workers = scrape.workers(site, plan)
    promises = [
        Promise(
            f"metrics of {sessions:,} sessions, the slower text",
            scrape.BAR * 1000,
            max(each.middle for each in figures) * 1000,
            "ms",
            at_least=False,
        )
    ]
    return Outcome(
        [report.scrapes(figures, sessions), report.scraped_workers(workers)],
        promises,
        figures={"scrapes": [asdict(each) for each in figures], "workers": asdict(workers)},
    )
