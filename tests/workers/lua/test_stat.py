"""box.stat: what a worker says of all, and box.info.memory beside it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.helpers.engine import Client, Engine
from tests.helpers.raw import SELECT
from tests.helpers.requests import evaluation


@pytest.fixture(autouse=True)
def _anew(engine: Engine) -> Iterator[None]:
    """A tick of the loop would make rates of what a test has counted."""
    engine.execute("st = require('beespace.engine.state').st st.next_tick = 1e300")
    engine.execute("gate = require('fiber').cond() box.stat.reset()")
    engine.row.on_duty = engine.row.pid = 1
    yield
    engine.row.assigned = engine.row.freed
    engine.execute("st.next_tick = 0")


def operations(client: Client) -> dict[str, int]:
    """Totals that are not 0, before this question."""
    found = client.eval("return box.stat()").data[0]
    found["EVAL"]["total"] -= 1
    return {name: each["total"] for name, each in found.items() if each["total"]}


def network(client: Client, *, thread: int | None = None) -> dict[str, Any]:
    source = "box.stat.net()" if thread is None else f"box.stat.net.thread[{thread}]"
    found = client.eval(f"return {source}").data[0]
    assert isinstance(found, dict)
    return found


def test_operations_are_counted_by_their_type(client: Client) -> None:
    client.call("math.max", 1)
    client.call("math.max", 1)
    client.eval("error('no')")
    client.request(SELECT, {0x10: 281, 0x11: 0, 0x12: 1, 0x13: 0, 0x14: 0, 0x20: []})
    assert operations(client) == {"CALL": 2, "EVAL": 1, "SELECT": 1, "ERROR": 1}


def test_one_operation_by_its_name(client: Client) -> None:
    client.call("math.max", 1)
    assert client.eval("return box.stat.CALL, box.stat.NOPE").data == [
        {"total": 1, "rps": 0},
        None,
    ]


def test_the_request_that_asks_is_one_of_them(client: Client) -> None:
    client.in_step()
    found = network(client)
    for name in ("REQUESTS", "REQUESTS_IN_PROGRESS"):
        assert found[name] == {"total": 2, "rps": 0, "current": 1}
    queue = found["REQUESTS_IN_STREAM_QUEUE"]
    assert queue == found["STREAMS"] == {"total": 0, "rps": 0, "current": 0}


def test_bytes_are_counted(client: Client) -> None:
    asks = evaluation(1, "return box.stat.net()")
    before, after = (client.exchange(asks)[0].data[0] for _ in range(2))
    assert after["RECEIVED"]["total"] == before["RECEIVED"]["total"] + len(asks)
    assert after["SENT"]["total"] > before["SENT"]["total"] + 100


def test_connections(engine: Engine, client: Client) -> None:
    engine.row.assigned = engine.row.freed + 3
    assert network(client, thread=0)["CONNECTIONS"]["current"] == 3
    assert network(client)["CONNECTIONS"]["total"] == 3


def test_requests_that_wait_and_streams(engine: Engine, client: Client) -> None:
    waits = "gate:wait() return 1"
    with engine.connect() as other:
        client.offer(
            evaluation(1, waits, stream=7)
            + evaluation(2, waits, stream=7)
            + evaluation(3, "return 3", stream=7)
            + evaluation(4, waits, stream=8)
            + evaluation(5, waits)
        )
        engine.turn()
        found = network(other)
        assert (engine.row.in_progress, engine.row.queued, engine.row.streams) == (3, 2, 2)
        answers = 0

        def all_came() -> bool:
            nonlocal answers
            engine.execute("gate:broadcast()")
            client.take()
            answers += len(client.packets())
            return answers == 5

        engine.run_until(all_came)
        after = network(other)
    assert (engine.row.in_progress, engine.row.queued, engine.row.streams) == (0, 0, 0)
    assert found["REQUESTS"] == {"total": 6, "rps": 0, "current": 6}
    assert found["REQUESTS_IN_PROGRESS"] == {"total": 4, "rps": 0, "current": 4}
    assert found["REQUESTS_IN_STREAM_QUEUE"] == {"total": 2, "rps": 0, "current": 2}
    assert found["STREAMS"] == {"total": 2, "rps": 0, "current": 2}
    assert [after[name]["current"] for name in ("REQUESTS", "STREAMS")] == [1, 0]
    assert after["REQUESTS"]["total"] == after["REQUESTS_IN_PROGRESS"]["total"] == 7


def test_what_a_client_leaves_behind_is_counted_off(engine: Engine) -> None:
    client = engine.connect()
    waits = "gate:wait() return 1"
    client.offer(evaluation(1, waits, stream=7) + evaluation(2, waits, stream=7))
    engine.turn()
    assert (engine.row.in_progress, engine.row.queued, engine.row.streams) == (1, 1, 1)
    client.close()
    engine.execute("gate:broadcast()")
    engine.run_until(lambda: not client.exists)
    assert (engine.row.in_progress, engine.row.queued, engine.row.streams) == (0, 0, 0)


def test_threads_are_workers_by_their_numbers(engine: Engine, client: Client) -> None:
    found = client.eval("return box.stat.net.thread()").data[0]
    assert list(found) == [0]
    assert set(found[0]) == set(network(client))
    assert client.eval("local t = box.stat.net.thread return t[0] == nil, t[1]").data[0] is False
    assert client.eval("local t = box.stat.net.thread return t[1], t[-1], t[0.5]").data == (
        [None, None, None]
    )


def test_a_thread_that_is_no_number(client: Client) -> None:
    answer = client.eval("return box.stat.net.thread.one")
    assert answer.text.endswith("bad argument #3 to '__index' (number expected, got string)")


def test_memory(engine: Engine, client: Client) -> None:
    client.slot.inbox_bytes = 70
    try:
        found = client.eval("return box.info.memory()").data[0]
    finally:
        client.slot.inbox_bytes = 0
    assert found["net"] == 70
    assert found["lua"] > 1_000_000
    assert {found[name] for name in ("cache", "data", "index", "tx")} == {0}


def test_the_memory_that_lua_may_have(engine: Engine, client: Client) -> None:
    engine.apply({"lua.memory": 5_000_000})
    found = client.eval("return box.runtime.info()").data[0]
    assert found["maxalloc"] == 5_000_000
    assert found["lua"] == found["used"] > 1_000_000
