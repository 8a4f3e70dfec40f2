"""The whole Lua engine inside the test process, one turn at a time.

An :class:`Engine` has a private segment and a real runtime, wired by ``engine/main`` as in a
worker. Nothing runs by itself: :meth:`Engine.turn` lets the loop wait once and serve what it found,
:meth:`Engine.run` goes on until nothing is ready; ``bell`` is what workers.enforcer rings. A
:class:`Client` is one end of a socket pair whose other end came by the intake channel.

    Client.send -> socket -> Engine.run -> socket -> Client.read -> packets
"""

from __future__ import annotations

import contextlib
import os
import secrets
import select
import socket
import struct
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

from server import reload
from server.settings import Settings
from shm import channel, layout
from shm.catalog.passwords import Rules
from shm.segment import Segment
from shm.sessions import SessionTable
from shm.states import SessionType
from tests.helpers.catalog import seed
from tests.helpers.closing import Closing
from tests.helpers.raw import CALL, EVAL, GREETING_SIZE, PING, Packet, decode, request
from workers import bridge
from workers.catalog import Catalog
from workers.press import Press
from workers.runtime import Runtime
from workers.watchdog import Limits, Places

C = TypeVar("C", bound="Client")

SALT: Final = bytes(range(20))
_MAX_TURNS: Final = 20_000
_TURN: Final = """
local fibers = require('beespace.engine.fibers')
local output = require('beespace.engine.output')
local watch = require('beespace.engine.watch')
local st = require('beespace.engine.state').st
return function()
  fibers.drive()
  watch.turn()
  output.send_unsent()
  st.stop = 0
  return st.ready ~= 0 or st.resumes ~= 0 or st.due ~= 0
end
"""
_END: Final = """
require('beespace.engine.sessions').close_all()
require('beespace.engine.sys').C.close(require('beespace.engine.state').st.poll)
"""
_HELD: Final = """
local buffers = require('beespace.engine.sessions').all[...].buffers
if buffers == nil then return 0, 0 end
return buffers.input_cap, buffers.output_cap
"""


class Engine(Closing):
    """An engine with ``capacity`` slots; ``max_packet`` in bytes, ``results`` old or new.

    Its catalog is a file of its own; guest may do everything when it is ``open_to_guests``.
    """

    def __init__(
        self,
        capacity: int = 64,
        max_packet: int = 64 << 20,
        results: str = "old",
        *,
        warm: bool = True,
        jit_log: bool = False,
        open_to_guests: bool = True,
    ) -> None:
        self.segment = Segment.create(f"beespace-test-{secrets.token_hex(6)}", capacity, 1)
        self.table = SessionTable(self.segment)
        self.row = self.segment.rows[0]
        self.acceptor, self._intake = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control, self._listens = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ((reader, writer),) = self.bus = channel.bus(1)
        self._woken, self._wake = os.pipe2(os.O_NONBLOCK)
        self.bell = os.eventfd(0, os.EFD_NONBLOCK)
        self._ends: list[socket.socket] = []
        self.attended = 0
        self.asked = b"end"
        """What the loop is told when it asks: it serves what is there and leaves."""
        self.batches: bytes | None = None
        """Lost sessions it is told of with that, once."""
        self.changed: bytes | None = None
        """Settings it is told of with that, once."""
        services = bridge.make_services(bridge.Context(version="1.2.3"))
        self._folder = tempfile.TemporaryDirectory()
        self.catalog = Catalog(
            seed(Path(self._folder.name), open_to_guests),
            self.segment.renew_catalog,
            Rules(),
            durable=False,
        )
        self.press = Press()
        for more in (self.catalog.services(), self.press.services()):
            services |= bridge.guarded(more)
        self.runtime = Runtime({**services, "attend": self._attend})
        self.main = self.runtime.require("beespace.engine.main")
        self.settings: dict[str, Any] = {
            "cdef": layout.cdef(),
            "facts": "".join(f"{a} {b} {c}\n" for a, b, c in layout.facts()),
            "address": self.segment.address,
            "instance": bytes(self.segment.header.instance),
            "index": 0,
            "count": 1,
            "name": "bee",
            "version": "1.2.3",
            "max_fds": 4096,
            "intake_fd": self._intake.fileno(),
            "control_fd": self._listens.fileno(),
            "wakeup_fd": self._woken,
            "press_fd": self.press.fileno(),
            "orders_fd": self.bell,
            "bus_reader": reader.fileno(),
            "bus_writers": str(writer.fileno()),
            "max_packet_size": max_packet,
            "session_results": results,
            "fiber_user": "new",
            "session_su": "new",
            "jit_log": jit_log,
            **reload.live(Settings()),
        }
        self.call_main("prepare", self.runtime.table(self.settings))
        if warm:
            self.call_main("warm")
        self._turn = self.execute(_TURN)
        self._more = False
        self._poll = select.poll()
        self._poll.register(int(self.execute("return require('beespace.engine.state').st.poll")))

    def close(self) -> None:
        """End every session, then give everything back."""
        with contextlib.suppress(AttributeError):
            self.execute(_END)
        for end in self._ends:
            end.close()
        channels = (self.acceptor, self._intake, self._control, self._listens)
        for each in (*channels, *self.bus[0]):
            each.close()
        for descriptor in (self._woken, self._wake, self.bell):
            os.close(descriptor)
        self.catalog.close()
        self.press.close()
        self._folder.cleanup()
        del self.row
        self.table.close()
        # The traceback of a failed test may hold a view; the segment is removed all the same.
        with contextlib.suppress(BufferError):
            self.segment.close()

    def execute(self, source: str, *arguments: Any) -> Any:
        """Run Lua in the engine's runtime, outside of any session."""
        return self.runtime.execute(source, *arguments)

    def call_main(self, name: str, *arguments: Any) -> Any:
        """Call a function of engine/main."""
        return self.runtime.call(self.main[name.encode()], *arguments)

    def guard(self, limits: Limits) -> Places:
        """Let a watchdog end code."""
        self.apply({"limits.request_time": limits.time, "lua.memory": limits.memory})
        return Places(*map(int, self.call_main("guard", self.library.encode())))

    def apply(self, values: dict[str, Any]) -> None:
        """Change settings, by their dotted keys."""
        self.call_main("apply", self.runtime.table(values))

    @property
    def library(self) -> str:
        """The file that has LuaJIT's C functions."""
        return self.runtime.library

    def slot(self, session: int) -> Any:
        """The slot a session has or had."""
        return self.segment.slots[session % self.segment.capacity]

    def turn(self) -> bool:
        """One wait of the loop, and everything it found; whether fibers have more to do at once."""
        os.write(self._wake, b"x")
        self._more = bool(self.runtime.call(self._turn))
        return self._more

    def wake(self) -> None:
        """Let the next wait of a loop that runs by itself be its last."""
        os.write(self._wake, b"x")

    def run(self) -> int:
        """Turns until nothing is ready; their number. Fibers that sleep are not waited for."""
        for turns in range(_MAX_TURNS):
            if not self._more and not self._poll.poll(0):
                return turns
            self.turn()
        raise AssertionError(f"the loop is still busy after {_MAX_TURNS} turns")

    def run_until(self, holds: Callable[[], object], seconds: float = 20.0) -> None:
        """Turns until the condition holds, fibers that sleep included."""
        deadline = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < deadline, f"not within {seconds} s"
            self.turn()

    def hand_over(self, session: int, *descriptors: int) -> None:
        """Give descriptors to the worker as the acceptor does, ids counting up from ``session``."""
        ids = struct.pack(f"<{len(descriptors)}Q", *range(session, session + len(descriptors)))
        socket.send_fds(self.acceptor, [ids], list(descriptors))

    def connect(
        self, peer: bytes = b"127.0.0.1:4000", *, buffer: int = 0, greet: bool = True
    ) -> Client:
        """A new session; ``buffer`` bounds the bytes its socket takes from the worker."""
        return self.closing(Client(self, peer, buffer=buffer, greet=greet))

    def closing(self, client: C) -> C:
        """The client, whose socket ends with the engine at the latest."""
        self._ends.append(client.socket)
        return client

    def _attend(self) -> tuple[bytes, bytes | None, bytes | None]:
        self.attended += 1
        with contextlib.suppress(BlockingIOError):
            os.read(self._woken, 4096)
        told, self.batches, self.changed = (self.batches, self.changed), None, None
        return self.asked, *told


class Client(Closing):
    """The client's end of a session. ``id`` is the session's, ``buffer`` what came undecoded."""

    def __init__(
        self,
        engine: Engine,
        peer: bytes,
        *,
        buffer: int,
        greet: bool,
        kind: SessionType = SessionType.BINARY,
    ) -> None:
        self.engine = engine
        self.socket, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.setblocking(False)
        if buffer:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer)
        claimed = engine.table.claim(peer, 0, SALT, kind=kind)
        assert claimed is not None, "no slot is free"
        self.id = claimed
        self.buffer = bytearray()
        self.ended = False
        self._sync = 0
        engine.hand_over(self.id, other.fileno())
        other.close()
        self.greeting = b""
        if greet:
            engine.run()
            self.greeting = self.socket.recv(GREETING_SIZE)

    def close(self) -> None:
        """End the connection and let the worker see it."""
        if self.socket.fileno() >= 0:
            self.socket.close()
            self.engine.run()

    @property
    def slot(self) -> Any:
        return self.engine.slot(self.id)

    @property
    def exists(self) -> bool:
        return self.engine.table.exists(self.id)

    @property
    def fd(self) -> int:
        """The descriptor of the session in the engine."""
        return int(self.slot.fd)

    def held(self) -> tuple[int, int]:
        """Bytes the engine holds for the session: capacity of its input and of its output."""
        found = self.engine.execute(_HELD, self.fd)
        return int(found[0]), int(found[1])

    def offer(self, data: bytes | memoryview) -> int:
        """Send what the socket takes at once; how many bytes that was."""
        try:
            return self.socket.send(data)
        except BlockingIOError:
            return 0

    def send(self, data: bytes) -> None:
        """Send everything, the engine running and the answers being read meanwhile."""
        view = memoryview(data)
        while view:
            try:
                sent = self.socket.send(view)
            except BlockingIOError:
                self.read()
                continue
            view = view[sent:]
        self.read()

    def take(self) -> int:
        """Read what is there without running the engine; the number of bytes."""
        count = 0
        while not self.ended:
            try:
                chunk = self.socket.recv(1 << 20)
            except BlockingIOError:
                break
            except ConnectionResetError:
                chunk = b""
            self.ended = not chunk
            self.buffer += chunk
            count += len(chunk)
        return count

    def read(self) -> None:
        """Run the engine and read until neither has anything left to do."""
        while self.engine.run() + self.take() > 0:
            pass

    def packets(self) -> list[Packet]:
        """The whole packets that came; a rest stays in the buffer."""
        found = []
        at = 0
        while len(self.buffer) - at >= 5:
            assert self.buffer[at] == 0xCE, f"an answer begins with {self.buffer[at]:02x}"
            end = at + 5 + int.from_bytes(self.buffer[at + 1 : at + 5], "big")
            if end > len(self.buffer):
                break
            found.append(decode(bytes(self.buffer[at : at + 5]), bytes(self.buffer[at + 5 : end])))
            at = end
        del self.buffer[:at]
        return found

    def answers(self, data: bytes, count: int) -> list[Packet]:
        """Send, and turn until so many answers came, in the order of their coming."""
        found: list[Packet] = []

        def enough() -> bool:
            self.take()
            found.extend(self.packets())
            return len(found) >= count

        self.send(data)
        self.engine.run_until(enough)
        assert len(found) == count
        return found

    def exchange(self, data: bytes) -> list[Packet]:
        """Send, run and read: all answers; half an answer is a failure."""
        self.send(data)
        answers = self.packets()
        assert not self.buffer, f"half an answer: {bytes(self.buffer[:40]).hex(' ')}"
        return answers

    def request(self, kind: int, body: object | None = None) -> Packet:
        """One request with a new sync; its answer, the only one."""
        self._sync += 1
        (answer,) = self.exchange(request({0: kind, 1: self._sync}, body))
        assert answer.sync == self._sync
        return answer

    def call(self, name: str, *arguments: object) -> Packet:
        return self.request(CALL, {0x22: name, 0x21: list(arguments)})

    def eval(self, source: str, *arguments: object) -> Packet:
        return self.request(EVAL, {0x27: source, 0x21: list(arguments)})

    def in_step(self) -> bool:
        """Whether a PING is answered, and nothing but the PING."""
        answer = self.request(PING)
        return (answer.type, answer.body) == (0, {})


def echo(sync: int, value: object) -> bytes:
    """An EVAL that answers its argument."""
    return request({0: EVAL, 1: sync}, {0x27: "return ...", 0x21: [value]})


def error_of(packet: Packet) -> tuple[int, str]:
    """Code and text of an error answer, (0, "") for a success."""
    return packet.code, packet.text


def errors_of(packets: Sequence[Packet]) -> list[tuple[int, str]]:
    """Code and text of every answer."""
    return [error_of(packet) for packet in packets]
