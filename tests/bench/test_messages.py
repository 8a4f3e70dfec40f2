"""The message bench: figures of a real server, and a server that loses or mixes messages."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bench import messages, packets, report, targets
from bench.rounds import Plan
from bench.session import Endpoint, Session
from bench.targets import TargetError


@pytest.fixture(scope="module")
def endpoint() -> Iterator[Endpoint]:
    with targets.beespace(2) as made:
        yield made


def everywhere(endpoint: Endpoint, source: str) -> None:
    """Run Lua in all workers."""
    ask = "return #box.workers.eval(..., {}, {target = 'all'})"
    body = {packets.KEY_EXPRESSION: ask, packets.KEY_TUPLE: [source]}
    with Session(endpoint) as session:
        answer = session.exchange(packets.request(packets.TYPE_EVAL, 1, body), 1)
        assert packets.decode(answer).data() == [2]


def test_both_ways_of_sending_are_measured(endpoint: Endpoint) -> None:
    lines: list[str] = []
    fast, paced = messages.measure(endpoint, 5000, 50_000, Plan(2), lines.append)

    assert (fast.rate, paced.rate) == (0, 50_000)
    assert len(lines) == 4
    assert fast.found_rate > 0
    assert 0 < paced.found_rate < 55_000
    assert 0 <= paced.p50 <= paced.p99
    table = report.messages([fast, paced])
    assert [row[0] for row in table.rows] == ["as fast as possible", "50,000/s"]


def test_a_budget_that_is_used_up_leaves_out_rounds(endpoint: Endpoint) -> None:
    lines: list[str] = []
    messages.measure(endpoint, 1000, 50_000, Plan(9, deadline=0), lines.append)
    assert [line[-3:] for line in lines] == 2 * ["1/9", "2/9", "3/9"]


@pytest.mark.parametrize(
    ("collect", "text"),
    [
        ("return false, 1, {}", "messages came out of order"),
        ("return true, 1, {5, 6}", "2 of 1000 messages came"),
    ],
)
def test_messages_lost_or_mixed_end_the_run(endpoint: Endpoint, collect: str, text: str) -> None:
    keep = "kept = kept or bench_collect "
    everywhere(endpoint, f"{keep}function bench_collect() {collect} end")
    try:
        with pytest.raises(TargetError, match=text):
            messages.measure(endpoint, 1000, 0, Plan(1), lambda _: None)
    finally:
        everywhere(endpoint, "bench_collect = kept")


def test_one_worker_is_not_enough() -> None:
    with targets.beespace(1) as one, pytest.raises(TargetError, match="reached one worker"):
        messages.measure(one, 1000, 0, Plan(1), lambda _: None)


def test_the_bars() -> None:
    fast = messages.MessageFigure(0, 1000, 0.01, 5, 6)
    slow = messages.MessageFigure(0, 1000, 0.011, 5, 6)
    paced = messages.MessageFigure(100_000, 1000, 0.01, 999, 5000)
    late = messages.MessageFigure(100_000, 1000, 0.01, 1001, 5000)

    assert [each.bar[1] for each in (fast, slow, paced, late)] == [True, False, True, False]
