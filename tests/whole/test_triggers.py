"""Triggers over several workers: set anywhere, in force everywhere, and none is left out."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.raw import GREETING_SIZE, ClosedError, Raw, ping
from tests.helpers.server import Server
from tests.helpers.wait import wait_until
from tests.whole.conftest import Start

NAMES = """
local names, event = {}, 'box.session.' .. ...
for _, each in ipairs(require('trigger').info(event)[event] or {}) do
  names[#names + 1] = each[1]
end
return table.concat(names, ' '), #box.session[...]()
"""
RESET = b"\x01\x00\x00\x00\x00\x00\x00\x00"
"""SO_LINGER that makes a close a reset."""


class Crew:
    """A connection to each worker of a server, by the worker's number."""

    def __init__(self, server: Server, stack: contextlib.ExitStack, workers: int) -> None:
        self.server = server
        self.clients: dict[int, Raw] = {}
        wait_until(lambda: self._connect(stack, workers), 20, "a connection to each worker")

    def _connect(self, stack: contextlib.ExitStack, workers: int) -> bool:
        for _ in range(4 * workers):
            client = Raw(self.server.address)
            number = client.eval("return box.info.worker.id").data[0]
            if number in self.clients:
                client.close()
            else:
                self.clients[number] = stack.enter_context(client)
        return len(self.clients) == workers

    def __getitem__(self, number: int) -> Raw:
        return self.clients[number]

    def everywhere(self, source: str, *arguments: object) -> Any:
        """The results of a chunk, which must be the same in all workers."""
        told = [client.eval(source, *arguments).data for client in self.clients.values()]
        assert all(each == told[0] for each in told), told
        return told[0]

    def names(self, event: str = "on_connect") -> list[str]:
        """Names of an event's triggers, the same in all workers."""
        text, count = self.everywhere(NAMES, event)
        assert len(str(text).split()) == count
        return str(text).split()


@pytest.fixture
def stack() -> Iterator[contextlib.ExitStack]:
    with contextlib.ExitStack() as made:
        yield made


def visit(server: Server, source: str, workers: int) -> dict[int, Any]:
    """What a chunk returns in new sessions, by worker: one at least of each worker."""
    found: dict[int, Any] = {}

    def ask() -> bool:
        for _ in range(4 * workers):
            with Raw(server.address) as client:
                number, value = client.eval(f"return box.info.worker.id, {source}").data
                assert found.setdefault(number, value) == value
        return len(found) == workers

    wait_until(ask, 20, "a session of each worker")
    return found


def pids_of(server: Server) -> list[int]:
    """Processes of the workers that are there."""
    with contextlib.suppress(ClosedError, OSError, AssertionError):
        return list(server.worker_pids().values())
    return [child.pid for child in server.children()]


COUNTER = """
local prefix, limits = 'n', {most = 3}
local function text(n) return prefix .. math.min(n, limits.most) end
local n = 0
box.session.on_connect(function()
  n = n + 1
  box.session.storage.mark = text(5) .. box.session.user() .. box.session.effective_user()
end, nil, 'mark')
"""


def test_set_in_one_session_it_is_active_in_all_workers(
    start: Start, stack: contextlib.ExitStack
) -> None:
    server = start(workers=2)
    crew = Crew(server, stack, 2)
    assert crew.names() == []
    crew[0].eval(COUNTER)
    assert crew.names() == ["mark"]
    marks = visit(server, "box.session.storage.mark", 2)
    assert marks == {0: "n3guestadmin", 1: "n3guestadmin"}

    crew[1].eval("box.session.on_connect(function() box.session.storage.other = 1 end)")
    crew[0].eval("box.session.on_connect(function() box.session.storage.mark = 2 end, nil, 'mark')")
    assert crew.names()[1:] == ["mark"]
    assert visit(server, "box.session.storage.mark", 2) == {0: 2, 1: 2}
    assert visit(server, "box.session.storage.other", 2) == {0: 1, 1: 1}
    crew[0].eval("box.session.on_connect(nil, box.session.on_connect()[1])")
    assert crew.names() == ["mark"]
    crew[1].eval("box.session.on_connect{name = 'mark'}")
    assert crew.names() == []
    assert visit(server, "box.session.storage.other", 2) == {0: None, 1: None}


def test_a_worker_that_starts_later_has_them(start: Start, stack: contextlib.ExitStack) -> None:
    app = "box.session.on_connect(function() box.session.storage.app = 1 end)"
    server = start(workers=2, app=app)
    with contextlib.ExitStack() as first:
        crew = Crew(server, first, 2)
        crew[0].eval(COUNTER)
        crew[0].eval("box.session.on_connect(function() box.session.storage.new = 1 end)")
        names = crew.names()
        assert names[1:] == ["mark", "app:box.session.on_connect:1"]
        pid = crew[0].eval("return box.info.pid").data[0]
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: pid not in pids_of(server), 20, "the end of the worker")
    crew = Crew(server, stack, 2)
    assert crew.names() == names
    both = "{box.session.storage.mark, box.session.storage.app, box.session.storage.new}"
    expected = ["n3guestadmin", 1, 1]
    assert visit(server, both, 2) == {0: expected, 1: expected}
    # and what the application has set can be taken away, for the next one as well
    crew[1].eval("require('trigger').del('box.session.on_connect', 'app:box.session.on_connect:1')")
    assert crew.names() == names[:-1]
    assert server.lines("other triggers") == []


def test_a_refused_function_changes_nothing_anywhere(
    start: Start, stack: contextlib.ExitStack
) -> None:
    crew = Crew(start(workers=2), stack, 2)
    crew[0].eval(COUNTER)
    source = "local co = coroutine.create(print) box.session.on_connect(function() return co end{})"
    text = "the function cannot be sent to the other workers: upvalue 'co' is a coroutine"
    for arguments in ("", ", nil, 'mark'", ", box.session.on_connect()[1]"):
        answer = crew[1].eval(source.format(arguments))
        assert (answer.code, answer.text) == (32, text)
        assert crew.names() == ["mark"]


def test_what_a_worker_lacks_is_logged(start: Start, stack: contextlib.ExitStack) -> None:
    server = start(workers=2)
    crew = Crew(server, stack, 2)
    crew[0].eval("rawset(_G, 'helper', function() end)")
    crew[0].eval("box.session.on_auth(function() helper() end, nil, 'needs')")
    pattern = r"trigger 'needs' of box\.session\.on_auth uses what worker 1 does not have: helper"
    wait_until(lambda: server.lines(pattern), what="the warning")
    crew.names("on_auth")
    assert len(server.lines("does not have")) == 1


def test_two_workers_setting_at_once_end_in_the_same_order(
    start: Start, stack: contextlib.ExitStack
) -> None:
    crew = Crew(start(workers=2), stack, 2)
    storm = """
        local me = ...
        for round = 1, 150 do
          local name = 't' .. math.random(6)
          if math.random() < 0.4 then
            box.session.on_access_denied(nil, nil, name)
          else
            box.session.on_access_denied(function() return me, round end, nil, name)
          end
          if round % 10 == 0 then require('fiber').sleep(0) end
        end"""
    threads = [
        threading.Thread(target=client.eval, args=(storm, number))
        for number, client in crew.clients.items()
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    names = crew.names("on_access_denied")
    assert len(set(names)) == len(names)
    results = """
        local told = {}
        for index, each in ipairs(box.session.on_access_denied()) do told[index] = {each()} end
        return told"""
    assert len(crew.everywhere(results)[0]) == len(names)


FAILED = (
    "ce 00 00 00 68 83 00 ce 00 00 80 20 01 cf 00 00 00 00 00 00 00 00 05 ce 00 00 00 01"
    " 82 31 ae 65 76 61 6c 3a 31 3a 20 6e 6f 20 77 61 79"
    " 52 81 00 91 86 00 ab 4c 75 61 6a 69 74 45 72 72 6f 72"
)


def test_a_failing_on_connect_and_the_way_in(start: Start, stack: contextlib.ExitStack) -> None:
    server = start(workers=2)
    owner = stack.enter_context(Raw(server.control))
    owner.eval("box.session.on_connect(function() error('no way') end)")
    for early in (b"", ping(1)):
        with socket.create_connection(server.address) as client:
            client.settimeout(5)
            client.sendall(early)
            came = b""
            while chunk := client.recv(4096):
                came += chunk
        assert came.startswith(b"Tarantool ")
        answer = came[GREETING_SIZE:]
        expected = bytes.fromhex(FAILED)
        assert answer[:4] == expected[:4]
        assert answer[5 : len(expected)] == expected[5:], answer.hex(" ")
        assert len(answer) == 5 + answer[4]
    with Raw(server.control) as other:
        other.eval("box.session.on_connect(nil, box.session.on_connect()[1])")
    assert visit(server, "1", 2) == {0: 1, 1: 1}


NOTES = """
local path = %r
box.session.on_disconnect(function()
  local s = box.session
  local file = io.open(path, 'a')
  file:write(('%%d %%s %%s %%s\\n'):format(s.id(), s.peer(), tostring(s.storage.mark), s.reason()))
  file:close()
end)
"""


def noted(path: Path) -> dict[int, list[str]]:
    """What on_disconnect has written by session; once for each."""
    lines = [line.split() for line in path.read_text().splitlines()] if path.exists() else []
    found = {int(words[0]): words[1:] for words in lines}
    assert len(found) == len(lines)
    return found


def leave_by_reset(client: Raw, _: Server) -> None:
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    client.close()


def send_nonsense(client: Raw, _: Server) -> None:
    client.send(b"\xff\xff")
    with contextlib.suppress(ClosedError):
        client.packet()
    client.close()


ENDS: list[tuple[str, Callable[[Raw, Server], None]]] = [
    ("client", lambda client, _: client.close()),
    ("error", leave_by_reset),
    ("error", send_nonsense),
    ("worker_died", lambda client, _: os.kill(client.eval("return box.info.pid").data[0], 9)),
    ("shutdown", lambda _, server: server.stop()),
]


@pytest.mark.parametrize(
    ("reason", "end"), ENDS, ids=["close", "reset", "nonsense", "kill", "stop"]
)
def test_every_end_has_its_reason(
    start: Start, tmp_path: Path, reason: str, end: Callable[[Raw, Server], None]
) -> None:
    path = tmp_path / "notes"
    server = start(workers=2, app=NOTES % str(path))
    with Raw(server.address) as client:
        number = client.eval("box.session.storage.mark = 1 return box.session.id()").data[0]
        name = client.name
        end(client, server)
        wait_until(lambda: number in noted(path), what="on_disconnect")
    assert noted(path)[number] == [name, "nil" if reason == "worker_died" else "1", reason]


VISITS = """
local fiber = require('fiber')
local file = io.open(%r, 'a')
local function note(what, ...)
  file:write(table.concat({what, ...}, ' '), '\\n')
  file:flush()
end
box.session.on_connect(function()
  local s = box.session
  if s.id() %% 7 == 0 then fiber.sleep(0.001) end
  s.storage.mark = s.id() * 3
  note('in', s.id(), box.info.pid)
end)
box.session.on_disconnect(function()
  local s = box.session
  if s.id() %% 11 == 0 then fiber.sleep(0.001) end
  note('out', s.id(), box.info.pid, s.storage.mark or 'none', s.peer())
end)
"""
VISITORS = 10_000
THREADS = 4


def come_and_go(address: Any, numbers: Iterator[int], failures: list[str]) -> None:
    """Connect and leave again and again, in several ways, until the numbers are used up."""
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    for number in numbers:
        with socket.socket(family) as client:
            client.settimeout(10)
            client.connect(address)
            if number % 5 != 0:
                greeting = b""
                while len(greeting) < GREETING_SIZE:
                    greeting += client.recv(GREETING_SIZE - len(greeting)) or b"ended" * 99
                if not greeting.startswith(b"Tarantool "):
                    failures.append(repr(greeting))
            if number % 3 == 0:
                client.sendall(ping(number))
            if number % 2 == 0 and family == socket.AF_INET:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def test_no_visit_is_left_out_under_churn(
    start: Start, tmp_path: Path, stack: contextlib.ExitStack
) -> None:
    path = tmp_path / "visits"
    server = start(
        workers=4, app=VISITS % str(path), listen=["127.0.0.1:0", f"unix/:{tmp_path}/socket"]
    )
    failures: list[str] = []
    threads = []
    for first in range(THREADS):
        address = server.address if first % 2 else server.unix
        visitors = iter(range(first, VISITORS, THREADS))
        threads.append(threading.Thread(target=come_and_go, args=(address, visitors, failures)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    owner = stack.enter_context(Raw(server.control))
    wait_until(lambda: path.read_text().count("out") >= VISITORS, 20, "the last on_disconnect")
    came: dict[int, str] = {}
    left: dict[int, str] = {}
    for line in path.read_text().splitlines():
        what, session, pid, *rest = line.split()
        number = int(session)
        if what == "in":
            assert came.setdefault(number, pid) == pid
        else:
            assert came[number] == pid, f"session {number} left a worker it was not in"
            assert rest[0] == str(number * 3)
            assert rest[1].startswith(("127.0.0.1:", "unix/:"))
            assert number not in left, f"on_disconnect of session {number} ran twice"
            left[number] = pid
    assert failures == []
    assert len(came) == VISITORS
    assert came.keys() == left.keys()
    assert len(set(came.values())) == 4
    gone = """
        for id in (...):gmatch('%d+') do
          if box.session.exists(tonumber(id)) ~= 0 then return id end
        end"""
    some = " ".join(str(number) for number in sorted(came)[-200:])
    wait_until(lambda: owner.eval(gone, some).data == [], what="slots are free")
    assert server.lines("rror") == []
