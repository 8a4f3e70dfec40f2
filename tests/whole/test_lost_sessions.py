"""on_disconnect of sessions whose worker was killed: elsewhere, once, whatever else dies."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from shm.segment import Segment
from tests.helpers.commands import stopped
from tests.helpers.raw import CALL, Raw, request
from tests.helpers.server import Server, alive
from tests.helpers.wait import assert_within, wait_until
from tests.whole.conftest import Start
from tests.whole.crews import spread

SESSIONS = 500
"""Sessions of the worker that is killed first."""
SLOTS_FREE = 0.25
"""Seconds until the slots of a killed worker are free: 0.02 where nothing else runs."""

APP = """
local fiber = require('fiber')
local path, pause = %r, %s

local function note()
  local s = box.session
  local file = io.open(path, 'a')
  file:write(('%%d %%s %%s %%s %%s %%s %%s %%d\\n'):format(s.id(), s.peer(), s.user(), s.type(),
    tostring(s.exists(s.id())), tostring(next(s.storage)), s.reason(), box.info.pid))
  file:close()
end

box.session.on_connect(function() box.session.storage.connected = true end)

box.session.on_disconnect(function()
  note()
  local deadline = fiber.clock() + pause
  while fiber.clock() < deadline do end
end)
"""


@dataclass(frozen=True)
class Farewell:
    """One line that on_disconnect has written."""

    session: int
    peer: str
    rest: list[str]
    pid: int


@dataclass
class Stage:
    """A server, its clients by the process that serves them, and what on_disconnect wrote."""

    server: Server
    notes: Path
    clients: dict[int, dict[int, Raw]]

    def farewells(self) -> list[Farewell]:
        if not self.notes.exists():
            return []
        lines = [line.split() for line in self.notes.read_text().splitlines()]
        return [Farewell(int(w[0]), w[1], w[2:7], int(w[7])) for w in lines if len(w) == 8]

    def count(self) -> int:
        return len(self.farewells())


@pytest.fixture
def stack() -> Iterator[contextlib.ExitStack]:
    with contextlib.ExitStack() as made:
        yield made


def build(
    start: Start, stack: contextlib.ExitStack, folder: Path, workers: int, each: int, pause: float
) -> Stage:
    """A server with ``each`` sessions a worker; on_disconnect keeps busy for ``pause`` seconds."""
    notes = folder / "notes"
    settings = {"process": {"stop_timeout": 10}}
    server = start(app=APP % (str(notes), pause), workers=workers, settings=settings)
    clients: dict[int, dict[int, Raw]] = {}
    for some in spread(server, stack, workers, each).values():
        for client in some:
            session, pid = client.eval("return box.session.id(), box.info.pid").data
            clients.setdefault(pid, {})[session] = client
    notes.unlink(missing_ok=True)
    return Stage(server, notes, clients)


def names(clients: dict[int, Raw]) -> dict[int, str]:
    return {session: client.name for session, client in clients.items()}


def test_another_worker_runs_each_once(start: Start, tmp_path: Path) -> None:
    folders = iter("abcd")

    def lose() -> float:
        (folder := tmp_path / next(folders)).mkdir()
        with contextlib.ExitStack() as stack:
            return until_free(build(start, stack, folder, workers=2, each=SESSIONS, pause=0), stack)

    assert_within(SLOTS_FREE, lose)


def until_free(stage: Stage, stack: contextlib.ExitStack) -> float:
    """Kill a worker, see what follows: seconds until its slots were free."""
    (victim, lost), (other, kept) = stage.clients.items()
    assert len(lost) == SESSIONS
    owner = stack.enter_context(Raw(stage.server.control))
    asker = next(iter(kept.values()))
    expected = names(lost)
    last = max(lost)

    begun = time.monotonic()
    os.kill(victim, signal.SIGKILL)
    while asker.call("box.session.exists", last).data != [0]:
        assert time.monotonic() - begun < 20
    took = time.monotonic() - begun
    wait_until(lambda: stage.count() >= SESSIONS, 20, "the farewells")
    owner.close()
    found = stage.farewells()

    assert {each.session: each.peer for each in found} == expected
    assert len(found) == SESSIONS
    assert {each.pid for each in found} == {other}
    assert {tuple(each.rest) for each in found} == {("guest", "binary", "0", "nil", "worker_died")}
    stage.server.stop()
    return took


def test_a_console_is_one_of_them(
    start: Start, stack: contextlib.ExitStack, tmp_path: Path
) -> None:
    stage = build(start, stack, tmp_path, workers=2, each=1, pause=0)
    console = stack.enter_context(socket.socket(socket.AF_UNIX))
    console.settimeout(10)
    console.connect(stage.server.console)
    lines = stack.enter_context(console.makefile("rb"))
    lines.read(128)
    console.sendall(b"box.info.pid, box.session.id()\n")
    answer = [lines.readline() for _ in range(4)]
    victim, session = (int(line.split()[1]) for line in answer[1:3])
    os.kill(victim, signal.SIGKILL)
    assert lines.read() == b""
    wait_until(lambda: stage.count() >= 2, 20, "the farewells")
    found = {each.session: each for each in stage.farewells()}
    assert found[session].peer == "unix/:(socket)"
    assert found[session].rest == ["admin", "console", "0", "nil", "worker_died"]
    assert {each.pid for each in found.values()} == set(stage.clients) - {victim}


def test_the_second_worker_dies_while_it_runs_them(
    start: Start, stack: contextlib.ExitStack, tmp_path: Path
) -> None:
    stage = build(start, stack, tmp_path, workers=3, each=SESSIONS // 4, pause=0.004)
    victim, *others = stage.clients
    os.kill(victim, signal.SIGKILL)
    wait_until(lambda: stage.count() >= 20, 20, "some farewells")
    second = stage.farewells()[0].pid
    assert second in others
    os.kill(second, signal.SIGKILL)
    expected = {**names(stage.clients[victim]), **names(stage.clients[second])}
    # The one that had just begun may not have written its line.
    wait_until(lambda: stage.count() >= len(expected) - 1, 20, "the other farewells")
    time.sleep(0.2)

    found = stage.farewells()
    twice = [session for session, count in Counter(f.session for f in found).items() if count > 1]
    assert twice == []
    assert {each.session: each.peer for each in found}.items() <= expected.items()
    assert len(found) >= len(expected) - 1
    assert {each.pid for each in found} > {second}


def test_a_single_worker_leaves_them_to_its_replacement(
    start: Start, stack: contextlib.ExitStack, tmp_path: Path
) -> None:
    stage = build(start, stack, tmp_path, workers=1, each=50, pause=0)
    ((victim, lost),) = stage.clients.items()
    owner = stack.enter_context(Raw(stage.server.control))
    owner.ping()
    expected = names(lost)
    os.kill(victim, signal.SIGKILL)
    wait_until(lambda: stage.count() >= 50, 20, "the farewells")
    found = stage.farewells()
    assert sorted(each.session for each in found) == sorted(lost)
    assert {each.session: each.peer for each in found} == expected
    assert victim not in {each.pid for each in found}
    with Raw(stage.server.address) as client:
        assert client.eval("return box.info.pid").data == [found[0].pid]


def test_a_server_that_stops_runs_what_is_left(
    start: Start, stack: contextlib.ExitStack, tmp_path: Path
) -> None:
    stage = build(start, stack, tmp_path, workers=2, each=50, pause=0.002)
    victim, _ = stage.clients
    lost = names(stage.clients[victim])
    os.kill(victim, signal.SIGKILL)
    wait_until(lambda: stage.count() >= 1, 20, "the first farewell")
    stage.server.stop()
    sessions = [each.session for each in stage.farewells() if each.session in lost]
    assert sorted(sessions) == sorted(lost)
    assert stage.server.lines("without on_disconnect") == []


def test_no_worker_is_left_and_the_log_says_so(
    start: Start, stack: contextlib.ExitStack, tmp_path: Path
) -> None:
    stage = build(start, stack, tmp_path, workers=1, each=5, pause=0)
    (victim,) = stage.clients
    dead = [psutil.Process(victim)]
    with stopped([stage.server.pid]):
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda: not alive(dead), 10, "the end of the worker")
        stage.server.send_signal(signal.SIGTERM)
    assert stage.server.process.wait(15) == 0
    assert stage.count() == 0
    (line,) = stage.server.lines("without on_disconnect")
    assert "sessions=5" in line


VISITS = """
local journal = io.open(%r, 'a')
journal:setvbuf('no')
box.session.on_connect(function() journal:write('came ', box.session.id(), '\\n') end)
box.session.on_disconnect(function() journal:write('left ', box.session.id(), '\\n') end)
function endless() while true do end end
"""


def test_who_had_not_come_does_not_leave(start: Start, tmp_path: Path) -> None:
    """A worker dies in a request, and has accepted connections whose on_connect never began."""
    notes = tmp_path / "notes"
    server = start(app=VISITS % str(notes), workers=1, settings={"limits": {"request_time": 0.2}})
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Raw(server.address)) for _ in range(20)]
        (pid,) = clients[0].eval("return box.info.pid").data
        with stopped([pid]):
            # They are found before the newcomers are.
            for client in clients:
                client.send(request({0: CALL, 1: 1}, {0x22: "endless", 0x21: []}))
            newcomers = [stack.enter_context(Raw(server.address, greet=False)) for _ in range(20)]
            (path,) = server.segments()
            segment = Segment.attach(path.name)
            wait_until(lambda: segment.header.claimed >= 40, 20, "claims for the newcomers")
            segment.close()
        for client in [*clients, *newcomers]:
            client.wait_closed(20)
        wait_until(lambda: notes.read_text().count("left") >= 20, 20, "the farewells")
        with Raw(server.address, deadline=20) as last:
            last.ping()
    server.stop()
    lines = [line.split() for line in notes.read_text().splitlines()]
    came = sorted(int(session) for what, session in lines if what == "came")
    assert sorted(int(session) for what, session in lines if what == "left") == came
    assert len(came) >= 21
