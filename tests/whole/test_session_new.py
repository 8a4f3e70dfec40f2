"""box.session.new in a whole server: connections that the server opens, and then serves."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.raw import GREETING_SIZE, Raw
from tests.helpers.server import Server
from tests.helpers.wait import wait_until
from tests.whole.conftest import Start
from tests.whole.test_reload import reload

APP = """
local ffi = require('ffi')
ffi.cdef [[
int socket(int domain, int type, int protocol);
int connect(int fd, const void *address, unsigned length);
]]
function dial(path, user, storage)
  local fd = ffi.C.socket(1, 1, 0)
  local address = '\\1\\0' .. path .. '\\0'
  assert(ffi.C.connect(fd, address, #address) == 0)
  box.session.new{fd = fd, user = user, storage = storage}
end
"""
ASK = "local s = box.session return s.id(), s.user(), s.storage.x, s.peer(), box.info.pid"


class Answered(Raw):
    """A client that was called by the server instead of calling it."""

    def __init__(self, end: socket.socket) -> None:
        self.deadline = 20.0
        self._buffer = bytearray()
        self._sync = 0
        self.socket = end
        end.settimeout(self.deadline)
        self.greeting = self.take(GREETING_SIZE)


@pytest.fixture
def ear(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as end:
        end.bind(str(tmp_path / "ear"))
        end.listen(64)
        end.settimeout(20)
        yield end


def dialled(ear: socket.socket) -> Answered:
    return Answered(ear.accept()[0])


def acceptor(server: Server) -> int:
    (found,) = [p.pid for p in server.children() if "acceptor" in " ".join(p.cmdline())]
    return found


def test_the_worker_serves_what_it_has_opened(start: Start, ear: socket.socket) -> None:
    server = start(app=APP, workers=2)
    path = ear.getsockname()
    with Raw(server.address) as first, Raw(server.address) as second:
        ids = set()
        for turn, caller in enumerate((first, second) * 20):
            assert caller.call("dial", path, "admin", {"x": turn}).data == []
            with dialled(ear) as client:
                session, *rest = client.eval(ASK).data
                pid = caller.eval("return box.info.pid").data[0]
                assert rest == ["admin", turn, f"unix/:{path}", pid]
                assert {c.call("box.session.exists", session).data[0] for c in (first, second)} == {
                    1
                }
                ids.add(session)
        assert len(ids) == 40
        wait_until(lambda: first.call("box.session.exists", max(ids)).data == [0], 10, "the end")


def test_on_connect_comes_first(start: Start, ear: socket.socket) -> None:
    hook = "box.session.on_connect(function() box.session.storage.x = box.session.user() end)"
    server = start(app=APP + hook, workers=1)
    with Raw(server.address) as caller:
        caller.call("dial", ear.getsockname())
        with dialled(ear) as client:
            assert client.eval(ASK).data[1:3] == ["guest", "guest"]


def test_the_limit_of_sessions_holds(start: Start, ear: socket.socket) -> None:
    server = start(app=APP, workers=1, arguments=["--max-sessions", "2"])
    with Raw(server.address) as caller:
        caller.call("dial", ear.getsockname())
        with dialled(ear) as client:
            client.ping()
            refused = caller.call("dial", ear.getsockname())
            text = "session limit reached: 2 of 2 sessions are in use"
            assert (refused.code, refused.text) == (115, text)
            client.ping()


def test_what_was_offered_while_there_was_no_acceptor(start: Start, ear: socket.socket) -> None:
    server = start(app=APP, workers=1)
    with Raw(server.address) as caller:
        os.kill(acceptor(server), signal.SIGKILL)
        caller.call("dial", ear.getsockname(), "guest", {"x": 1})
        with dialled(ear) as client:
            assert client.eval(ASK).data[2] == 1


def test_a_worker_that_drains_serves_what_it_opens(start: Start, ear: socket.socket) -> None:
    server = start(app=APP, workers=1)
    path = ear.getsockname()
    with Raw(server.address) as caller:
        pid = caller.eval("return box.info.pid").data[0]
        reload(server, "reload: done")
        caller.call("dial", path, "admin", {"x": 1})
        with dialled(ear) as first, Raw(server.address) as new:
            session, *rest = first.eval(ASK).data
            assert rest == ["admin", 1, f"unix/:{path}", pid]
            assert new.call("box.session.exists", session).data == [1]
            assert new.eval("return box.info.pid").data != [pid]
            # A new acceptor knows the old worker, too.
            os.kill(acceptor(server), signal.SIGKILL)
            caller.call("dial", path, "admin", {"x": 2})
            with dialled(ear) as second:
                assert second.eval(ASK).data[2:] == [2, f"unix/:{path}", pid]
                caller.close()
                first.close()
                # Who is left keeps it from ending.
                wait_until(lambda: new.call("box.session.exists", session).data == [0])
                second.ping()
                assert not server.lines("old worker ended")
        wait_until(lambda: server.lines("old worker ended"), 20, "the old worker's end")
