"""What runs when clients come and leave, over several workers: none is left out."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.raw import GREETING_SIZE, ClosedError, Raw, ping
from tests.helpers.server import Server
from tests.helpers.wait import wait_until
from tests.whole.conftest import Start
from tests.whole.crews import visit

RESET = b"\x01\x00\x00\x00\x00\x00\x00\x00"
"""SO_LINGER that makes a close a reset."""

FAILED = (
    "ce 00 00 00 68 83 00 ce 00 00 80 20 01 cf 00 00 00 00 00 00 00 00 05 ce 00 00 00 01"
    " 82 31 ae 65 76 61 6c 3a 31 3a 20 6e 6f 20 77 61 79"
    " 52 81 00 91 86 00 ab 4c 75 61 6a 69 74 45 72 72 6f 72"
)


def test_a_failing_on_connect_and_the_way_in(start: Start) -> None:
    server = start(workers=2)
    with Raw(server.control) as owner:
        owner.eval("box.session.on_connect(function() error('no way') end)")
    for early in (b"", ping(1)):
        with socket.create_connection(server.address) as client:
            client.settimeout(10)
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


RECORD = """
local path = ...
local function t(name)
  return function(...)
    local s = box.session
    local open = s.fd() >= 0 and 'open' or 'closed'
    local line = {name, s.user(), s.effective_user(), s.sync(), open, s.peer(), ...}
    for index = 1, #line do line[index] = tostring(line[index]) end
    local file = io.open(path, 'a')
    file:write(table.concat(line, ' '), '\\n')
    file:close()
  end
end
box.session.on_connect(t('c1')) box.session.on_connect(t('c2'))
box.session.on_disconnect(t('d')) box.session.on_auth(t('a')) box.session.on_access_denied(t('x'))
"""


def test_order_and_users_of_all_four(start: Start, tmp_path: Path) -> None:
    settings = {"credentials": {"users": {"bob": {"password": "secret"}}}}
    server = start(workers=2, settings=settings, open_to_guests=False)
    path = tmp_path / "record"
    with Raw(server.control) as owner:
        owner.eval(RECORD, str(path))
    for _ in range(2):
        path.write_text("")
        with Raw(server.address) as client:
            name = client.name
            assert client.call("nosuch").code == 42
            assert client.auth("bob", "wrong").code == 47
            assert client.auth("nobody", "x").code == 47
            assert client.auth("bob", "secret").code == 0
        wait_until(lambda: "d " in path.read_text(), 10, "on_disconnect")
        assert path.read_text().splitlines() == [
            f"c2 guest admin 0 open {name}",
            f"c1 guest admin 0 open {name}",
            f"x guest guest 1 open {name} Execute function nosuch",
            f"a guest guest 2 open {name} bob false",
            f"a guest guest 3 open {name} nobody false",
            f"a guest guest 4 open {name} bob true",
            f"d bob admin 0 closed {name}",
        ]


def test_a_failing_on_auth_keeps_the_user(start: Start) -> None:
    settings = {"credentials": {"users": {"bob": {"password": "secret"}}}}
    server = start(workers=2, settings=settings)
    with Raw(server.address) as owner, Raw(server.address) as client:
        owner.eval("box.session.on_auth(function() error('not today', 0) end)")
        for _ in range(2):
            answer = client.auth("bob", "secret")
            assert (answer.code, answer.text) == (32, "not today")
        assert client.eval("return box.session.user()").data == ["guest"]


def test_su_in_on_connect_stays(start: Start) -> None:
    settings = {"credentials": {"users": {"bob": {"password": "secret", "roles": ["super"]}}}}
    server = start(workers=2, settings=settings, open_to_guests=False)
    with Raw(server.control) as owner:
        owner.eval("box.session.on_connect(function() box.session.su('bob') end)")
    who = "{box.session.user(), box.session.effective_user()}"
    assert visit(server, who, 2) == {0: ["bob", "bob"], 1: ["bob", "bob"]}


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
        wait_until(lambda: number in noted(path), 20, "on_disconnect")
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
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)


def test_no_visit_is_left_out_under_churn(start: Start, tmp_path: Path) -> None:
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
    with Raw(server.control) as owner:
        wait_until(lambda: owner.eval(gone, some).data == [], deadline=10, what="slots are free")
    assert server.lines("rror") == []
