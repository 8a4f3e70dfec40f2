"""Roles are told by how processes call themselves."""

from __future__ import annotations

import pytest

from tests.soak import gauges
from tests.soak.gauges import Gauge


@pytest.mark.parametrize(
    ("words", "role"),
    [
        (["beespace: worker-12 default"], "worker"),
        (["beespace: acceptor default"], "acceptor"),
        (["beespace: supervisor default"], "supervisor"),
        (["python", "-c", "from multiprocess.resource_tracker import main;main(7)"], "tracker"),
        (["cat", "file"], "cat file"),
    ],
)
def test_roles(words: list[str], role: str) -> None:
    assert gauges.role_of(words) == role


def test_processes_by_role() -> None:
    one, two, three = Gauge(1, "worker", 1, 1), Gauge(2, "acceptor", 2, 2), Gauge(3, "worker", 3, 3)
    assert gauges.by_role([one, two, three]) == {"worker": [one, three], "acceptor": [two]}
