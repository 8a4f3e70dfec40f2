"""Requests at a fixed rate: all of them, none left out, whatever the server does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from bench import lua, packets, targets
from bench.address import Address
from bench.arrivals import Arrivals, Arrived, histogram
from bench.client import Client
from bench.packets import AnswerError
from bench.rounds import Plan
from bench.scenarios import SCENARIOS
from bench.session import Endpoint
from bench.suite.latency import KNEE_P99, Step, in_turns, knee
from tests.bench import stub

PING = SCENARIOS["ping"]


@pytest.fixture(scope="module")
def arrivals() -> Arrivals:
    return Arrivals(Client())


@pytest.fixture
def echo() -> Iterator[Any]:
    request = packets.request(packets.TYPE_PING, 1_000_000, {})
    answer = bytes.fromhex("ce00000009820000 01ce000f4240")
    with targets.echo(request, answer) as endpoint:
        yield endpoint


def test_every_request_is_sent_and_counted(
    arrivals: Arrivals, echo: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.arrivals.PATIENCE", 20.0)
    found = arrivals.measure(echo, PING, 3, 5000, 0.2)
    assert found.latency.get_total_count() == 1000
    assert not found.overloaded
    assert found.asked == 5000
    assert 0 < found.found < 5500
    assert 0 < found.quantile(0.5) <= found.quantile(0.99) <= found.quantile(1.0)


def test_a_rate_that_nobody_reaches_is_an_overload(arrivals: Arrivals, echo: Any) -> None:
    found = arrivals.measure(echo, PING, 1, 5e9, 0.2)
    assert found.overloaded


def test_answers_that_were_not_asked_for_are_an_error(arrivals: Arrivals) -> None:
    request = packets.request(packets.TYPE_PING, 1_000_000, {})
    answer = bytes.fromhex("ce00000009820000 01ce000f4240")
    with targets.echo(request[: len(request) // 2], answer) as endpoint:
        twice = replace(endpoint, canned=(request, answer))
        with pytest.raises((AnswerError, lua.LuaError), match="bytes"):
            arrivals.measure(twice, PING, 1, 1000, 0.1)


def test_wrong_results_are_an_error(arrivals: Arrivals) -> None:
    def wrong(body: dict[int, Any], peer: str) -> dict[int, Any]:
        good = stub.good(body, peer)
        return good if good != {packets.KEY_DATA: [True]} else {packets.KEY_DATA: [5]}

    with stub.serve(wrong) as endpoint, pytest.raises(AnswerError, match="wrong result"):
        arrivals.measure(endpoint, SCENARIOS["exists"], 1, 100, 0.1)


def test_the_histogram_keeps_counts_and_places() -> None:
    counts = bytearray(4 * 2048)
    counts[4 * 463] = 7
    made = histogram(bytes(counts), 1e6)
    assert made.get_total_count() == 7
    assert made.get_value_at_percentile(50) == pytest.approx(1.01**463.5, rel=0.01)


def step(rate: float, p99: float, *, overloaded: bool = False) -> Step:
    return Step("made", rate, rate, (1.0, 2.0, p99, p99), overloaded, 0.1)


@pytest.mark.parametrize(
    ("steps", "rate"),
    [
        ([step(1, 10), step(2, KNEE_P99), step(3, KNEE_P99 + 1)], 2),
        ([step(1, 10), step(2, KNEE_P99 * 2), step(3, 10)], 3),
        ([step(1, 10), step(2, 10, overloaded=True)], 1),
        ([step(1, KNEE_P99 * 2)], 0),
    ],
)
def test_the_knee_is_the_highest_rate_that_is_kept_up_with(steps: list[Step], rate: float) -> None:
    assert knee(steps) == rate


def test_servers_take_turns_each_at_its_rate() -> None:
    asked: list[tuple[str, float]] = []

    class Quick:
        def measure(
            self, endpoint: Endpoint, _kind: Any, _count: int, rate: float, _: float
        ) -> Any:
            asked.append((endpoint.name, rate))
            return Arrived(
                rate, rate, overloaded=False, client_share=0.1, latency=histogram(bytes(8192), 1.0)
            )

    ends = [Endpoint(name, Address()) for name in ("a", "b")]
    steps = in_turns(Quick(), ends, [10, 20], Plan(3, 0.1))  # type: ignore[arg-type]
    assert asked == 3 * [("a", 10), ("b", 20)]
    assert [(each.target, each.rate) for each in steps] == [("a", 10), ("b", 20)]
