"""Requests that wait, from outside, with a connector that sends many at once."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import asynctnt
import pytest
from asynctnt.exceptions import TarantoolDatabaseError

from tests.helpers.raw import CALL, Raw, ping, request
from tests.helpers.server import DATA, LOOPBACK, Server, running
from tests.helpers.wait import tries, wait_until
from tests.whole.conftest import await_gone

STREAM = 0x0A


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("fibers")
    listen = [LOOPBACK]
    with running(folder, app=DATA / "fiber_app.lua", workers=2, listen=listen) as made:
        yield made


async def connect(address: tuple[str, int]) -> Any:
    host, port = address
    return await asynctnt.connect(host=host, port=port, reconnect_timeout=0, request_timeout=10)


def play(server: Server, scenario: Callable[..., Awaitable[None]], count: int = 1) -> None:
    """Run a scenario with ``count`` connections of asynctnt."""

    async def run() -> None:
        connections = [await connect(server.address) for _ in range(count)]
        try:
            await scenario(*connections)
        finally:
            for connection in connections:
                await connection.disconnect()

    asyncio.run(run())


def named(name: str, sync: int, *arguments: object, stream: int = 0) -> bytes:
    """A CALL as bytes."""
    header = {0: CALL, 1: sync} | ({STREAM: stream} if stream else {})
    return request(header, {0x22: name, 0x21: list(arguments)})


# One connection ----------------------------------------------------------------------------------


def test_requests_of_a_connection_run_at_once(server: Server) -> None:
    naps = [random.Random(1).uniform(0.05, 0.2) for _ in range(500)]

    async def scenario(connection: Any) -> None:
        began = time.monotonic()
        calls = [connection.call("nap", [nap, number]) for number, nap in enumerate(naps)]
        answers = await asyncio.gather(*calls)
        assert [answer.body for answer in answers] == [[number] for number in range(len(naps))]
        assert len({answer.sync for answer in answers}) == len(naps)
        assert time.monotonic() - began < sum(naps) / 5

    play(server, scenario)


def test_answers_come_when_they_are_ready(server: Server) -> None:
    async def scenario(connection: Any) -> None:
        order: list[object] = []

        async def ask(name: object, pending: Awaitable[object]) -> None:
            await pending
            order.append(name)

        await asyncio.gather(
            ask("slow", connection.call("nap", [0.8])),
            ask("quick", connection.call("nap", [0.4])),
            ask("ping", connection.ping()),
            ask("eval", connection.eval("return 1")),
        )
        assert order == ["ping", "eval", "quick", "slow"]

    play(server, scenario)


def test_requests_that_do_not_wait_keep_their_order(server: Server) -> None:
    count = 3000
    with Raw(server.address) as client:
        sent = b"".join(
            named("nap", sync, 0.001)
            if sync % 100 == 0
            else (ping(sync) if sync % 2 else named("box.session.sync", sync))
            for sync in range(1, count + 1)
        )
        client.send(sent)
        syncs = [answer.sync for answer in client.packets(count)]

    at_once = [sync for sync in syncs if sync % 100]
    assert at_once == sorted(at_once)
    assert sorted(syncs) == list(range(1, count + 1))


def test_the_session_stays_right_after_every_yield(server: Server) -> None:
    async def scenario(*connections: Any) -> None:
        asked = [
            (connection, f"of {number}")
            for number, connection in enumerate(connections)
            for _ in range(20)
        ]
        answers = await asyncio.gather(*(c.call("yields", [30, mine]) for c, mine in asked))
        for answer, (connection, mine) in zip(answers, asked, strict=True):
            first, different = answer.body
            number = (await connection.call("box.session.id")).body[0]
            assert different == []
            assert first.pop("fd") >= 0
            assert first == {
                "id": number, "type": "binary", "sync": answer.sync, "closed": False,
                "user": "guest", "exists": 1, "mine": mine,
            }  # fmt: skip

    play(server, scenario, count=6)


def test_an_error_after_a_wait_is_the_one_of_its_request(server: Server) -> None:
    async def scenario(connection: Any) -> None:
        source = (
            "require('fiber').sleep(0.01) if ... % 3 == 0 then error('no ' .. ...) end return ..."
        )
        asked = [connection.eval(source, [number]) for number in range(30)]
        answers: list[Any] = await asyncio.gather(*asked, return_exceptions=True)
        for number, answer in enumerate(answers):
            if number % 3:
                assert answer.body == [number]
            else:
                assert isinstance(answer, TarantoolDatabaseError)
                assert (answer.code, answer.message) == (32, f"eval:1: no {number}")

    play(server, scenario)


# Streams -----------------------------------------------------------------------------------------


def test_a_stream_is_strictly_ordered(server: Server) -> None:
    async def scenario(connection: Any) -> None:
        await connection.eval("trace = {}")
        streams = {name: connection.stream() for name in "ab"}
        naps = {"a": [0.4, 0, 0.01, 0.005], "b": [0.001, 0.015, 0, 0.01]}
        pending = [
            stream.call("visit", [f"{name}{turn}", naps[name][turn]])
            for turn in range(4)
            for name, stream in streams.items()
        ]
        answers = await asyncio.gather(*pending)
        assert [answer.body[0] for answer in answers] == [f"{n}{t}" for t in range(4) for n in "ab"]

        (trace,) = (await connection.eval("return trace")).body
        for name in "ab":
            mine = [entry for entry in trace if entry.startswith(name)]
            assert mine == [f"{name}{t} {way}" for t in range(4) for way in ("in", "out")]
        assert trace[:2] == ["a0 in", "b0 in"]

    play(server, scenario)


def test_a_busy_stream_holds_up_nobody_else(server: Server) -> None:
    with Raw(server.address) as client:
        client.send(
            named("nap", 1, 0.6, "first", stream=5)
            + named("nap", 2, 0, "second", stream=5)
            + named("nap", 3, 0.2, "other", stream=6)
            + named("nap", 4, 0, "none")
            + ping(5)
        )
        assert [answer.sync for answer in client.packets(5)] == [5, 4, 3, 1, 2]


# Cancellation ------------------------------------------------------------------------------------


def test_a_request_is_cancelled_by_another(server: Server) -> None:
    async def scenario(connection: Any) -> None:
        victim = asyncio.ensure_future(connection.call("wait_at", ["nowhere"]))
        await asyncio.sleep(0)
        (found,) = (await connection.eval("return story.nowhere")).body
        await connection.call("cancel", [found["fiber"]])
        with pytest.raises(TarantoolDatabaseError) as caught:
            await victim
        assert (caught.value.code, caught.value.message) == (32, "fiber is cancelled")
        assert (await connection.call("nap", [0, "alive"])).body == ["alive"]

    play(server, scenario)


# Fibers of requests ------------------------------------------------------------------------------


def test_a_fiber_of_a_request_belongs_to_no_session(server: Server) -> None:
    async def scenario(connection: Any) -> None:
        answer = await connection.call("background")
        (number,) = (await connection.call("box.session.id")).body
        mine, first, second = answer.body
        nobody = {
            "id": 0, "type": "background", "sync": 0, "fd": -1, "closed": first["closed"],
            "user": "guest", "exists": 0, "mine": "nothing",
        }  # fmt: skip
        assert (mine["id"], mine["sync"], mine["mine"]) == (number, answer.sync, "the session's")
        assert first == nobody
        assert second == {**nobody, "mine": "the fiber's"}

    play(server, scenario)


def test_the_user_of_fibers_by_setting(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("old")
    options: dict[str, Any] = {"workers": 1, "settings": {"compat": {"fiber_user": "old"}}}
    with (
        running(folder, app=DATA / "fiber_app.lua", **options) as server,
        Raw(server.address) as client,
    ):
        users = [seen["user"] for seen in client.call("background").data]
        assert users == ["guest", "admin", "admin"]
        client.eval("require('compat').fiber_user = 'new'")
        users = [seen["user"] for seen in client.call("background").data]
        assert users == ["guest", "guest", "guest"]


def test_a_failed_fiber_is_in_the_log(server: Server) -> None:
    with Raw(server.address) as client:
        source = """
            local f = require('fiber').new(function() error('out of nectar') end)
            f:name('gatherer')
            return f:id()"""
        number = client.eval(source).data[0]
        pattern = rf"fiber {number} \(gatherer\) failed: .*out of nectar"
        wait_until(lambda: server.lines(pattern), what="the log line")


# A client that leaves ----------------------------------------------------------------------------


def neighbours(server: Server, client: Raw) -> tuple[Raw, Raw]:
    """A client of the same worker, and one of the other."""
    (mine,) = client.eval("return box.info.worker.id").data
    found: dict[bool, Raw] = {}
    for _ in tries():
        other = Raw(server.address)
        same = other.eval("return box.info.worker.id").data == [mine]
        if same in found:
            other.close()
        else:
            found[same] = other
        if len(found) == 2:
            return found[True], found[False]
    raise AssertionError("all connections went to one worker")


def test_a_session_lives_until_its_last_request_has_ended(server: Server) -> None:
    client = Raw(server.address)
    near, far = neighbours(server, client)
    with near, far:
        (number,) = client.call("box.session.id").data
        client.send(named("wait_at", 7, "exit") + named("wait_at", 8, "late exit"))
        told = "return story['exit'] and story['late exit'] and true"
        wait_until(lambda: near.eval(told).data == [True], what="both requests wait")
        client.close()
        closed = "return box.session.fd(...)"
        wait_until(lambda: near.eval(closed, number).data == [-1], what="the socket is closed")

        assert far.call("box.session.exists", number).data == [1]
        near.call("open_gate", "exit")
        after = "return story[...].after"
        wait_until(lambda: near.eval(after, "exit").data != [None], what="the end of the first")
        assert far.call("box.session.exists", number).data == [1]
        near.call("open_gate", "late exit")
        await_gone(far, number)

        for name, sync in (("exit", 7), ("late exit", 8)):
            (seen,) = near.eval("return story[...]", name).data
            assert seen["before"]["fd"] >= 0
            assert (seen["before"]["sync"], seen["before"]["closed"]) == (sync, False)
            assert seen["after"] == {
                "id": number, "type": "binary", "sync": 0, "fd": -1, "closed": True,
                "user": "guest", "exists": 1, "mine": "nothing",
            }  # fmt: skip


def test_a_fiber_outlives_the_session_that_made_it(server: Server) -> None:
    client = Raw(server.address)
    near, far = neighbours(server, client)
    with near, far:
        (number,) = client.call("box.session.id").data
        client.eval("require('fiber').create(function() wait_at('afterlife') end)")
        client.close()
        await_gone(far, number)
        near.call("open_gate", "afterlife")
        after = "return story['afterlife'].after"
        wait_until(lambda: near.eval(after).data != [None], what="the end of the fiber")
        assert near.eval(after).data[0]["id"] == 0


def test_thousands_of_clients_that_leave_in_the_middle(server: Server) -> None:
    for _ in range(40):
        clients = [Raw(server.address) for _ in range(25)]
        for client in clients:
            client.send(named("yields", 1, 50, "x") + named("nap", 2, 0.01) + ping(3))
        for client in clients[::2]:
            client.packet()
        for client in clients:
            client.close()
    with Raw(server.address) as client:
        fibers = """
            local count = 0
            for _ in pairs(require('fiber').info({backtrace = false})) do count = count + 1 end
            return count"""
        everywhere = "return box.workers.eval(..., {}, {target = 'all'})"
        wait_until(
            lambda: max(client.eval(everywhere, fibers).data[0])[0] <= 2,
            20,
            "the end of all fibers",
        )
        wait_until(lambda: server_sessions(client) <= 2, 20, "the end of all sessions")


def server_sessions(client: Raw) -> int:
    """Sessions that exist among the newest 2000 ids."""
    source = """
        local count, mine = 0, box.session.id()
        for id = math.max(1, mine - 2000), mine do count = count + box.session.exists(id) end
        return count"""
    return int(client.eval(source).data[0])
