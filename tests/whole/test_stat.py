"""box.stat over workers: all say the same, threads are workers, a reset is everybody's."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest

from tests.helpers.server import DATA, Server, running
from tests.helpers.wait import wait_until
from tests.whole.crews import Crew

WORKERS = 2
TOTALS = "local s = box.stat() return s.CALL.total, s.AUTH.total, s.SELECT.total, s.ERROR.total"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("stat")
    with running(folder, app=DATA / "whole_app.lua", workers=WORKERS) as started:
        yield started


@pytest.fixture
def crew(server: Server) -> Iterator[Crew]:
    with contextlib.ExitStack() as stack:
        made = Crew(server, stack, WORKERS)
        made[0].eval("box.stat.reset()")
        yield made


def network(crew: Crew, worker: int = 0, source: str = "box.stat.net()") -> Any:
    return crew[worker].eval(f"return {source}").data[0]


def test_every_worker_counts_for_all(crew: Crew) -> None:
    for client in crew.clients.values():
        client.call("math.max", 1)
    crew[1].call("no_such_function")
    assert crew.everywhere(TOTALS) == [3, 0, 0, 1]


def test_a_reset_in_one_worker_is_one_in_all(crew: Crew) -> None:
    for client in crew.clients.values():
        client.call("math.max", 1)
    crew[1].eval("box.stat.reset()")
    assert crew.everywhere(TOTALS) == [0, 0, 0, 0]
    sent = network(crew, source="box.stat.net.SENT")["total"]
    assert sent < 1000
    assert network(crew, source="box.stat.net.CONNECTIONS")["total"] == 0


def test_a_thread_is_the_worker_of_that_number(crew: Crew) -> None:
    for _ in range(5):
        crew[1].call("math.max", 1)
    threads = network(crew, source="box.stat.net.thread()")
    assert sorted(threads) == [0, 1]
    assert threads[1]["REQUESTS"]["total"] >= 5 > threads[0]["REQUESTS"]["total"]
    assert network(crew, 1, "box.stat.net.thread[1]")["REQUESTS"]["total"] >= 6
    assert network(crew, 1, "box.stat.net.thread[2]") is None


def test_connections_are_those_of_all_workers(crew: Crew) -> None:
    def counted(worker: int) -> int:
        return int(network(crew, worker, "box.stat.net.CONNECTIONS")["current"])

    wait_until(
        lambda: counted(0) == counted(1) == WORKERS, deadline=10, what="only the crew is there"
    )
    threads = network(crew, source="box.stat.net.thread()")
    assert [threads[number]["CONNECTIONS"]["current"] for number in (0, 1)] == [1, 1]


def test_a_rate_rises_and_falls(crew: Crew) -> None:
    """Calls in the first worker, seen from the second."""

    def rate() -> int:
        return int(network(crew, 1, "box.stat.CALL")["rps"])

    assert rate() == 0
    for _ in range(50):
        crew[0].call("math.max", 1)
    # A second of a busy machine lasts 0.9 to 1.5 seconds.
    wait_until(lambda: 6 <= rate() <= 13, what="50 calls in 5 seconds are some 10 a second")
    wait_until(lambda: rate() == 0, 10, "nothing is called any more")


def test_memory_is_that_of_all_workers(crew: Crew) -> None:
    own = [
        client.eval("collectgarbage() return collectgarbage('count') * 1024").data[0]
        for client in crew.clients.values()
    ]

    def all_of_them() -> float:
        return float(crew[0].eval("return box.info.memory().lua").data[0])

    wait_until(lambda: all_of_them() > max(own) * 1.5, 10, "both heaps are counted")


def test_info_says_where_it_listens(crew: Crew) -> None:
    (listen,) = crew.everywhere("return box.info.listen")
    assert listen == f"127.0.0.1:{crew.server.port}"
