"""The bench of lists: figures of a real server with few sessions, tables, wrong answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from bench import listing, packets, report
from bench.listing import CountFigure, PageFigure
from bench.rounds import Plan
from bench.session import Endpoint
from bench.targets import TargetError
from tests.bench import stub


@pytest.fixture(scope="module")
def real() -> Iterator[Endpoint]:
    with listing.filled(50, lambda _: None) as made:
        yield made


def test_counts(real: Endpoint) -> None:
    found = listing.counts(real, Plan(2))
    assert [figure.filter for figure in found] == list(listing.FILTERS)
    assert [figure.counted for figure in found[:2]] == [51, 51]
    assert all(figure.seconds > 0 for figure in found)


def test_pages(real: Endpoint) -> None:
    lines: list[str] = []
    quiet, busy = listing.pages(real, Plan(1), lines.append, seconds=0.2)
    assert lines == ["beside nothing  1/1", "beside a list  1/1"]
    assert (quiet.pages, quiet.requests, busy.requests) == (None, 200, 200)
    assert busy.pages is not None
    assert busy.pages > 0
    for figure in (quiet, busy):
        assert 0 < figure.p50 <= figure.p99 <= figure.slowest


def test_a_budget_that_is_used_up_leaves_out_rounds(real: Endpoint) -> None:
    lines: list[str] = []
    listing.pages(real, Plan(9, deadline=0), lines.append, seconds=0.05)
    assert [line[-3:] for line in lines] == 2 * ["1/9", "2/9", "3/9"]


def test_a_wrong_answer_ends_the_run() -> None:
    def results(body: dict[int, Any], _peer: str) -> dict[int, Any]:
        return {packets.KEY_DATA: ["no"]}

    with stub.serve(results) as endpoint, pytest.raises(TargetError, match="sessions of 'stub'"):
        listing.counts(endpoint, Plan(1))


def test_tables() -> None:
    counts = [CountFigure("", 60_000, 0.00123), CountFigure("{user = 'guest'}", 5, 0.0101)]
    assert report.counts(counts, 60_000).rows == (
        ("count()", "60,000", "1.23", "met"),
        ("count({user = 'guest'})", "5", "10.10", "NOT MET"),
    )
    pages = [PageFigure(None, 100, 100, 20_000, 30_000), PageFigure(321.5, 100, 100, 10_000, 9e6)]
    assert report.pages(pages).rows == (
        ("nothing", "100", "0.10", "20.00", "30.00", ""),
        ("322 pages/s of 1,000 rows", "100", "0.10", "10.00", "9,000.00", "met"),
    )
