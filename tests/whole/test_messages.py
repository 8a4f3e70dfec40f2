"""Messages between sessions of different workers, from outside."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from tests.helpers.raw import Raw, request
from tests.helpers.server import DATA, LOOPBACK, Server, running
from tests.helpers.wait import tries, wait_until

WATCH, EVENT = 74, 76


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("messages")
    with running(folder, app=DATA / "whole_app.lua", workers=2, listen=[LOOPBACK]) as made:
        yield made


@contextlib.contextmanager
def pair(server: Server) -> Iterator[tuple[Raw, Raw, int, int]]:
    """Two clients of different workers, and their session ids."""
    with contextlib.ExitStack() as stack:
        by_worker: dict[int, tuple[Raw, int]] = {}
        for _ in tries():
            client = stack.enter_context(Raw(server.address))
            worker, number = client.eval("return box.info.worker.id, box.session.id()").data
            by_worker.setdefault(worker, (client, number))
            if len(by_worker) == 2:
                (one, first), (two, second) = by_worker[0], by_worker[1]
                yield one, two, first, second
                return
        raise AssertionError("no client on the other worker")


def push(client: Raw, session: int, *values: Any) -> list[Any]:
    source = """
        local id, values = ...
        for k = 1, #values do
          local ok, err = box.session.push_to(id, values[k])
          if not ok then return k, err.message end
        end
        return #values"""
    return list(client.eval(source, session, list(values)).data)


def told(client: Raw) -> tuple[int, str, int]:
    """Sync, key and value of the next packet, which is an event."""
    packet = client.packet()
    assert packet.type == EVENT
    return packet.sync, packet.body[0x57], packet.body[0x58]


def test_a_message_reaches_the_other_worker_and_comes_back(server: Server) -> None:
    with pair(server) as (one, two, first, second):
        assert push(one, second, {"question": [1, None, "x"]}) == [1]
        got = two.eval("return box.session.receive(5)").data[0]
        assert got == [{"question": [1, None, "x"]}]
        assert push(two, first, "answer") == [1]
        assert one.eval("return box.session.receive(5)").data == [["answer"]]


def test_order_is_kept_and_nothing_lost(server: Server) -> None:
    with pair(server) as (one, two, _, second):
        sent, got = 0, []
        while sent < 20_000:
            sent += push(one, second, *range(sent, sent + 1000))[0]
            got += two.eval("return box.session.receive(5)").data[0]
        while len(got) < sent:
            got += two.eval("return box.session.receive(5)").data[0]

        assert got == list(range(sent))


def test_the_limit_holds_across_workers(server: Server) -> None:
    with pair(server) as (one, _, _, second):
        value = "x" * 100_000
        found = push(one, second, *[value] * 20)
        # 1 MiB holds ten values of 100,005 bytes with 32 more each.
        assert found == [11, f"the inbox of session {second} is full"]


def test_a_long_value(server: Server) -> None:
    with pair(server) as (one, two, _, second):
        value = "y" * 900_000
        assert push(one, second, value) == [1]
        assert two.eval("return box.session.receive(5)").data == [[value]]


def test_a_watcher_is_told_how_many_messages_wait(server: Server) -> None:
    key = "box.session.inbox"
    with pair(server) as (one, two, _, second):
        two.send(request({0: WATCH, 1: 5}, {0x57: key}))
        assert told(two) == (5, key, 0)
        two.send(request({0: WATCH, 1: 5}, {0x57: key}))
        push(one, second, "a", "b")
        waiting = told(two)[2]
        while waiting < 2:
            two.send(request({0: WATCH, 1: 5}, {0x57: key}))
            waiting = told(two)[2]
        assert two.eval("return box.session.receive(0)").data == [["a", "b"]]
        two.send(request({0: WATCH, 1: 6}, {0x57: key}))
        assert told(two) == (6, key, 0)


def test_a_receiver_that_leaves(server: Server) -> None:
    with pair(server) as (one, two, _, second):
        two.close()
        wait_until(
            lambda: not one.eval("return box.session.exists(...)", second).data[0],
            what="the end of the session",
        )
        assert push(one, second, 1) == [1, f"Session {second} does not exist"]


def test_a_worker_killed_while_messages_fly(server: Server) -> None:
    workers = server.worker_pids()
    with pair(server) as (one, _, _, second):
        os.kill(workers[1], signal.SIGKILL)
        texts = set()

        def refused() -> bool:
            answer = push(one, second, *range(100))
            texts.update(answer[1:])
            return f"Session {second} does not exist" in texts

        wait_until(refused, 10, "the refusal of messages to a dead session")
    wait_until(lambda: server.lines("worker is back"), 20, "the new worker")
    with pair(server) as (one, two, _, second):
        assert two.eval("return box.session.receive(0)").data == [[]]
        assert push(one, second, "new") == [1]
        assert two.eval("return box.session.receive(5)").data == [["new"]]
