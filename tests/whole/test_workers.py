"""What workers do for each other, from outside: box.workers and box.iproto.send."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.raw import Raw
from tests.helpers.server import DATA, LOOPBACK, Server, running
from tests.helpers.wait import wait_until
from tests.whole.crews import spread

WHO = "return box.info.worker.id, box.session.id(), box.session.effective_user()"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("workers")
    with running(folder, app=DATA / "whole_app.lua", workers=3, listen=[LOOPBACK]) as made:
        yield made


def test_every_worker_can_be_asked(server: Server) -> None:
    with Raw(server.address) as client:
        for options in ("nil", "{target = 'all'}"):
            ask = f"return box.workers.eval(..., {{}}, {options})"
            assert client.eval(ask, WHO).data == [[[n, 0, "guest"] for n in range(3)]]
        one = "return box.workers.eval(..., {}, {target = 2})"
        assert client.eval(one, WHO).data == [[[2, 0, "guest"]]]


def test_any_takes_turns(server: Server) -> None:
    with Raw(server.address) as client:
        source = """
            local seen, ask = {}, 'return box.info.worker.id'
            for k = 1, 6 do seen[k] = box.workers.eval(ask, {}, {target = 'any'})[1][1] end
            table.sort(seen) return seen"""
        assert client.eval(source).data == [[0, 0, 1, 1, 2, 2]]


def test_an_error_carries_the_workers_number(server: Server) -> None:
    with Raw(server.address) as client:
        source = "box.workers.eval('error(\"no\", 0)', {}, {target = 1})"
        answer = client.eval(source)
        assert (answer.code, answer.text) == (32, "worker 1: no")


def test_a_long_result(server: Server) -> None:
    with Raw(server.address) as client:
        source = """
            local text = box.workers.eval("return ('x'):rep(...)", {5e6}, {target = ...})[1][1]
            return #text"""
        assert [client.eval(source, n).data for n in range(3)] == [[5_000_000]] * 3


def test_a_busy_worker_does_not_hold_its_caller_for_ever(server: Server, tmp_path: Path) -> None:
    with Raw(server.address) as client:
        busy = f"repeat local go = io.open('{tmp_path}/go') until go"
        own = client.eval("return box.info.worker.id").data[0]
        other = (own + 1) % 3
        source = "box.workers.eval(..., {}, {target = select(2, ...), timeout = 0.05})"
        answer = client.eval(source, busy, other)
        (tmp_path / "go").touch()

        assert (answer.code, answer.text) == (78, f"worker {other}: Timeout exceeded")


def test_a_worker_that_dies_is_an_error_at_once(server: Server) -> None:
    with Raw(server.address) as client:
        own = client.eval("return box.info.worker.id").data[0]
        other = (own + 1) % 3
        kill = "require('log').info('dies') require('clock') os.exit(7)"
        began = time.monotonic()
        source = "box.workers.eval(..., {}, {target = select(2, ...), timeout = 20})"
        answer = client.eval(source, kill, other)

        assert (answer.code, answer.text) == (77, f"worker {other}: the worker has ended")
        assert time.monotonic() - began < 10
    wait_until(lambda: server.lines("worker is back"), 20, "the new worker")


def test_a_packet_for_any_session(server: Server) -> None:
    with Raw(server.address) as sender, contextlib.ExitStack() as stack:
        for each in itertools.chain(*spread(server, stack, 3, each=2).values()):
            number = each.eval("return box.session.id()").data[0]
            source = """
                for k = 1, 3 do
                  box.iproto.send(..., {request_type = 0x80, sync = 9}, {data = {k}})
                end"""
            assert sender.eval(source, number).data == []
            packets = [each.packet() for _ in range(3)]
            assert [(p.type, p.sync, p.data) for p in packets] == [
                (0x80, 9, [k]) for k in (1, 2, 3)
            ]
