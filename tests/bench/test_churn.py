"""Clients that come and go, against a server that is good, wrong, or away."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench import churn, packets
from bench.address import Address
from bench.client import Client
from bench.rounds import Plan
from bench.targets import TargetError
from tests.bench import stub


@pytest.fixture(scope="module")
def client() -> Client:
    return Client()


def silent(_: str) -> None:
    """Nobody looks."""


def test_all_visits_are_served(client: Client) -> None:
    with stub.serve() as endpoint:
        (found,) = churn.measure(client, [endpoint], 4, 40, Plan(3), silent)
    assert len(found.rates) == 3
    assert min(found.rates) <= found.rate <= max(found.rates)
    assert 0 < found.p50 <= found.p99
    assert found.server_cpu is None


def test_a_server_that_changes_its_answer_is_found_out(client: Client) -> None:
    left = [4]

    def moody(body: dict[int, object], peer: str) -> dict[int, object]:
        left[0] -= 1
        return stub.good(body, peer) if left[0] >= 0 else {packets.KEY_DATA: [4]}

    with stub.serve(moody) as endpoint, pytest.raises(TargetError, match="a wrong answer"):
        churn.measure(client, [endpoint], 1, 10, Plan(1), silent)


def test_a_server_elsewhere_is_refused(client: Client) -> None:
    with stub.serve() as endpoint:
        elsewhere = replace(endpoint, address=Address(path="/nowhere"))
        with pytest.raises(TargetError, match="expected a port of 127"):
            churn.measure(client, [elsewhere], 1, 1, Plan(1), silent)


def test_nobody_there(client: Client) -> None:
    with stub.nobody() as gone, pytest.raises(TargetError, match="refused"):
        churn.measure(client, [gone], 1, 1, Plan(1), silent)
