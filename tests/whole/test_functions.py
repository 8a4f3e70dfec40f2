"""Created functions and box.once over two workers: made in one, there in the other."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.helpers.raw import Raw
from tests.helpers.requests import evaluation
from tests.helpers.server import running
from tests.helpers.wait import wait_until
from tests.whole.conftest import Start
from tests.whole.crews import Crew, pids_of

CREATE = "box.schema.func.create(...)"
USERS = "function() return box.session.user(), box.session.effective_user() end"
APP = """
box.once('setup', function(name)
  require('fiber').sleep(0.3)
  box.schema.func.create(name, {body = 'function() return 1 end'})
end, 'by_the_application')
found_at_start = box.schema.func.exists('by_the_application')
"""
SLOW = "box.once('slow', function() started = true require('fiber').sleep(60) end) return 1"


@pytest.fixture
def stack() -> Iterator[contextlib.ExitStack]:
    with contextlib.ExitStack() as made:
        yield made


def code_of(client: Raw, name: str) -> int:
    return client.call(name).code


def test_create_and_drop_act_at_once_everywhere(start: Start, stack: contextlib.ExitStack) -> None:
    crew = Crew(start(workers=2), stack, 2)
    for turn in range(50):
        near, far = crew[turn % 2], crew[(turn + 1) % 2]
        body = f"function(...) return {turn}, ... end"
        near.eval(CREATE, "shared", {"body": body, "is_sandboxed": turn % 3 == 0})
        assert far.call("shared", "x").data == [turn, "x"]
        assert near.call("shared", "y").data == [turn, "y"]
        assert far.eval("return box.func.shared:call({5})").data == [turn, 5]
        far.eval("box.func.shared:drop()")
        for client in (near, far):
            assert code_of(client, "shared") == 33


def test_setuid_for_a_limited_user(start: Start, stack: contextlib.ExitStack) -> None:
    server = start(workers=2)
    crew = Crew(server, stack, 2)
    crew[0].eval("box.schema.user.create('lim', {password = 'pw'})")
    crew.everywhere("function bodiless(...) return box.session.effective_user(), ... end")
    as_admin = "box.session.su('admin', box.schema.func.create, ...)"
    crew[0].eval(as_admin, "own", {"setuid": True, "body": USERS})
    crew[0].eval(as_admin, "bodiless", {"setuid": True})
    crew[0].eval(CREATE, "plain", {"body": USERS})
    limited = Crew(server, stack, 2)
    for client in limited.clients.values():
        client.auth("lim", "pw")
        assert code_of(client, "own") == 42
    for name in ("own", "bodiless", "plain"):
        crew[1].eval("box.schema.user.grant('lim', 'execute', 'function', ...)", name)
    for client in limited.clients.values():
        assert client.call("own").data == ["lim", "admin"]
        assert client.call("bodiless", 7).data == ["admin", 7]
        assert client.call("plain").data == ["lim", "lim"]
    crew[1].eval("box.schema.func.drop('own')")
    for client in limited.clients.values():
        assert code_of(client, "own") == 42
        assert client.call("plain").data == ["lim", "lim"]


def test_they_survive_a_restart(tmp_path: Path) -> None:
    same = ["--data-dir", str(tmp_path / "data")]
    with running(tmp_path, workers=2, arguments=same) as server, Raw(server.control) as client:
        client.eval(CREATE, "kept", {"body": "function(n) return n + 1 end", "setuid": True})
        client.eval(CREATE, "dropped", {"body": "function() end"})
        client.eval("box.schema.func.drop('dropped')")
        assert client.eval("return box.once('key', function() return 1 end)").data == [1]
    with running(tmp_path, workers=2, arguments=same) as server, Raw(server.control) as client:
        for _ in range(3):
            assert client.call("kept", 1).data == [2]
        assert code_of(client, "dropped") == 33
        assert client.eval("return box.once('key', function() return 1 end)").data == []


def test_applications_run_it_once(start: Start, stack: contextlib.ExitStack) -> None:
    crew = Crew(start(workers=3, app=APP), stack, 3)
    assert crew.everywhere("return found_at_start, by_the_application") == [True, None]
    for client in crew.clients.values():
        assert client.call("by_the_application").data == [1]


def test_a_worker_that_dies_blocks_nobody(start: Start, stack: contextlib.ExitStack) -> None:
    server = start(workers=2)
    crew, watching = Crew(server, stack, 2), Crew(server, stack, 2)
    pid = crew[0].eval("return box.info.pid").data[0]
    crew[0].send(evaluation(100, SLOW))
    wait_until(lambda: watching[0].eval("return started").data[0], 10, "the function's begin")
    crew[1].send(evaluation(100, SLOW))
    time.sleep(0.2)
    assert crew[1].quiet()
    os.kill(pid, signal.SIGKILL)
    assert crew[1].packet().data == [1]
    wait_until(lambda: pid not in pids_of(server), 20, "the end of the worker")
    assert len(server.lines("the worker that ran box.once")) == 1


def test_another_worker_runs_it_for_this_one(start: Start, stack: contextlib.ExitStack) -> None:
    crew = Crew(start(workers=2), stack, 2)
    for turn in range(20):
        crew[0].eval(CREATE, "errand", {"body": f"function(...) return {turn}, ... end"})
        ask = "return box.workers.call('errand', {5}, {target = 1})"
        assert crew[0].eval(ask).data == [[[turn, 5]]]
        crew[0].eval("box.schema.func.drop('errand')")


def test_a_storm_of_definitions(start: Start, stack: contextlib.ExitStack) -> None:
    server = start(workers=2)
    crew = Crew(server, stack, 2)
    crew[0].eval(CREATE, "steady", {"body": "function(n) return n end"})

    def storm(number: int) -> list[object]:
        wrong: list[object] = []
        with Raw(server.address) as client:
            for turn in range(40):
                name = f"own{number}"
                client.eval(CREATE, name, {"body": f"function() return {turn} end"})
                wrong += [] if client.call(name).data == [turn] else [("created", number, turn)]
                wrong += [] if client.call("steady", turn).data == [turn] else [("steady", turn)]
                client.eval("box.schema.func.drop(...)", name)
                wrong += [] if code_of(client, name) == 33 else [("dropped", number, turn)]
        return wrong

    with ThreadPoolExecutor(6) as pool:
        assert [each for found in pool.map(storm, range(6)) for each in found] == []
    assert crew.everywhere("local n = 0 for _ in pairs(box.func) do n = n + 1 end return n") == [2]
