"""A server with sessions to end: an application that notes down how each has ended."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.helpers.raw import EVAL, Raw, request
from tests.helpers.server import Server
from tests.helpers.wait import tries, wait_until

APP: Final = """
local fiber, ffi = require('fiber'), require('ffi')
local folder = %r
gate = fiber.cond()

local function note(name, ...)
  local file = io.open(folder .. '/' .. name, 'a')
  file:write(table.concat({...}, ' '), '\\n')
  file:close()
end

box.session.on_connect(function()
  if box.session.peer():find('^127%%.0%%.0%%.9:') then
    note('arriving', box.session.id())
    gate:wait()
  end
end)
box.session.on_disconnect(function()
  note('ended', box.session.id(), box.session.reason())
end)

function busy()
  note('busy', box.session.id())
  while true do pcall(error) end
end

function busy_after_a_wait()
  fiber.sleep(0)
  busy()
end

function compiled()
  note('busy', box.session.id())
  local n = 0
  while true do n = n + 1 end
end

function hang_in_c()
  note('busy', box.session.id())
  return (('a'):rep(40000)):find(('.-'):rep(4) .. 'b')
end

function flood()
  for _ = 1, 30 do box.session.push(('x'):rep(1000000)) end
  note('busy', box.session.id())
  gate:wait()
end

function wait()
  note('busy', box.session.id())
  gate:wait()
end

ffi.cdef [[
int socket(int domain, int type, int protocol);
int connect(int fd, const void *address, unsigned length);
]]
function dial(path)
  local fd = ffi.C.socket(1, 1, 0)
  local address = '\\1\\0' .. path .. '\\0'
  assert(ffi.C.connect(fd, address, #address) == 0)
  box.session.new{fd = fd}
end
"""
ARRIVING: Final = "127.0.0.9"
"""A client with this address waits in on_connect."""
BOUND: Final = 4.0
"""Seconds in which a client has to be cut off; 0.2 where nothing else runs."""


@dataclass
class Scene:
    """A server with this application, and where that notes down what happens."""

    server: Server
    folder: Path
    stack: contextlib.ExitStack

    def notes(self, name: str) -> dict[int, list[str]]:
        """The rests of the lines in a file of notes, by session, in their order."""
        found: dict[int, list[str]] = {}
        with contextlib.suppress(FileNotFoundError):
            for line in (self.folder / name).read_text().splitlines():
                number, _, rest = line.partition(" ")
                found.setdefault(int(number), []).append(rest)
        return found

    def noted(self, name: str, session: int) -> list[str]:
        """Those about one session."""
        return self.notes(name).get(session, [])

    def reasons(self, *sessions: int) -> list[str]:
        """Why on_disconnect was told that the sessions have ended, once it was for all."""
        wait_until(
            lambda: set(sessions) <= set(self.notes("ended")), 20, f"on_disconnect of {sessions}"
        )
        notes = self.notes("ended")
        return [reason for session in sessions for reason in notes[session]]

    def client(self, worker: int, **options: Any) -> tuple[Raw, int]:
        """A new session of a worker, and its id; the others that it takes to get there stay."""
        for _ in tries():
            made = self.stack.enter_context(Raw(self.server.address, **options))
            number, session = made.eval("return box.workers.id(), box.session.id()").data
            if number == worker:
                return made, session
        raise AssertionError(f"no connection reached worker {worker}")

    def begin(self, client: Raw, session: int, function: str) -> None:
        """Have a function run that does not return, and wait until it does."""
        before = len(self.noted("busy", session))
        client.send(request({0: EVAL, 1: 99}, {0x27: f"return {function}()"}))
        what = f"{function} of session {session}"
        wait_until(lambda: len(self.noted("busy", session)) > before, 10, what)


def is_cut_off(client: Raw, seconds: float = BOUND) -> bool:
    """Whether the connection ends in time; what comes before is dropped."""
    client.socket.settimeout(seconds)
    try:
        while client.socket.recv(1 << 20):
            pass
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False
    return True
