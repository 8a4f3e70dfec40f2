"""LuaJIT compiles the request path and keeps it compiled; a request makes no garbage.

Trace events are collected by a function of the test, attached after ``prepare`` and before the
warm-up (LuaJIT has one handler, so the engine's own counters rest in these engines).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import pytest

from tests.helpers.engine import Engine
from tests.helpers.raw import CALL, EVAL, ID, PING, frame, pack
from workers.runtime import LUA_ROOT

# These make strings or tables, so that steps of the collector may still become side traces.
ALLOCATING = frozenset({"map", "ten", "mix"})
# Requests a send, and sends: before the traces have to be complete, and afterwards.
BATCH = 20
SETTLE = 1500
STEADY = 500

COLLECT = """
local util = require('jit.util')
local sys = require('beespace.engine.sys')
local events = {}
local function on_trace(what, trace, func, pc, code)
  if what == 'flush' then
    events[#events + 1] = ('%.6f flush 0 all'):format(sys.clock(sys.CLOCK_MONOTONIC))
  else
    local kind = what == 'start' and (code == nil and 'root' or 'side') or what
    local number = what == 'abort' and code or 0
    local loc = util.funcinfo(func, pc).loc or '?'
    local now = sys.clock(sys.CLOCK_MONOTONIC)
    events[#events + 1] = ('%.6f %s %d %s'):format(now, kind, number, loc)
  end
end
jit.attach(on_trace, 'trace')
return function() return table.concat(events, '\\n') end
"""

# What runs for no request, but by the clock: it may be met often enough at any time.
NO_CHORES = """
local st = require('beespace.engine.state').st
st.next_tick, st.next_sweep = math.huge, math.huge
"""

# What the warm-up of the codec compiles, behind the loop.
CODEC = frozenset({"codec.lua", "decode.lua", "encode.lua", "put.lua", "skip.lua"})

# Why a trace may be given up while the engine warms up, by LuaJIT's error number.
EXPECTED_ABORTS = {
    # An error was raised while recording: the one error that the warm-up answers.
    0,
    # An instruction that is never compiled (closures of the warm-up itself).
    7,
    # A root trace in a helper met the end of its loop; the loop is compiled from its head.
    8,
    # A trace reached an inner loop, which then gets its own.
    9,
    # A recursion was unrolled too often; it continues as a side trace.
    10,
    # A function returned to a frame below the one where its trace began.
    16,
    # Too many values to move where two ways join: the side traces of three arguments.
    34,
}

REQUESTS = {
    "ping": (PING, b""),
    "id": (CALL, {0x22: "box.session.id", 0x21: []}),
    "exists": (CALL, {0x22: "box.session.exists", 0x21: [1]}),
    "peer": (CALL, {0x22: "box.session.peer", 0x21: [1]}),
    "eval": (EVAL, {0x27: "return ...", 0x21: [1]}),
    "one": (CALL, {0x22: "tostring", 0x21: ["text"]}),
    "two": (CALL, {0x22: "math.max", 0x21: [1, 2]}),
    "three": (CALL, {0x22: "math.min", 0x21: [3, 2, 1]}),
    "map": (EVAL, {0x27: "return {a = 1, b = 2}", 0x21: []}),
    "ten": (EVAL, {0x27: "return {1, 2, 3, 4, 5, 6, 7, 8, 9, 10}", 0x21: []}),
}


@dataclass(frozen=True)
class Event:
    """One trace event: ``kind`` is root, side (both: recording starts), stop, abort or flush."""

    time: float
    kind: str
    code: int
    place: str


class Server:
    """An engine that serves by itself, in a thread, with one client and its events recorded."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._events = engine.execute(COLLECT)
        engine.call_main("warm")
        self.warmed = time.monotonic()
        self._client = engine.connect()
        self._client.socket.settimeout(20)
        engine.execute(NO_CHORES)
        self._thread = threading.Thread(target=engine.call_main, args=("serve",))
        self._thread.start()

    def exchange(self, data: bytes, answers: int) -> None:
        """Send packets and wait for their answers."""
        sock, buffer = self._client.socket, self._client.buffer
        sock.sendall(data)
        count = 0
        while count < answers:
            chunk = sock.recv(1 << 20)
            assert chunk, "the engine ended the session"
            buffer += chunk
            count += len(self._client.packets())

    def stream(self, name: str, batches: int) -> float:
        """Batches of one request; the time when the last answer was there."""
        for _ in range(batches):
            self.exchange(stream(name, BATCH), BATCH)
        return time.monotonic()

    def stop(self) -> list[Event]:
        """End the engine's loop; everything that was recorded."""
        self.engine.wake()
        self._thread.join(20)
        assert not self._thread.is_alive()
        self._client.socket.close()
        lines = self.engine.runtime.call(self._events).decode().splitlines()
        rows = [line.split(" ", 3) for line in lines]
        return [Event(float(when), kind, int(code), loc) for when, kind, code, loc in rows]


@pytest.fixture
def server() -> Iterator[Server]:
    with Engine(warm=False) as engine:
        made = Server(engine)
        yield made
        made.stop()


def stream(name: str, count: int) -> bytes:
    kind, body = REQUESTS[name]
    payload = pack({0: kind, 1: 5}) + (body if isinstance(body, bytes) else pack(body))
    return frame(payload) * count


def between(events: list[Event], first: float, last: float) -> list[Event]:
    """What happened then, but for what the clock says: wait() does some things now and then, which
    are compiled when they have been met often enough. The two functions that enter the loop may be
    taken for hot when they share a counter with something that is.
    """
    lines = source_lines()
    waiting = range(lines.index("local function wait()"), lines.index("local function step()"))
    entries = [lines.index(head) + 1 for head in ("local function run()", "function loop.guard()")]
    found: list[Event] = []
    of_the_wait = of_an_entry = False
    for event in events:
        if event.kind in ("root", "side"):
            file, _, line = event.place.rpartition(":")
            in_the_loop = file.endswith("loop.lua")
            of_the_wait = in_the_loop and int(line) in waiting
            of_an_entry = in_the_loop and int(line) in entries and event.kind == "root"
        excused = of_an_entry or (of_the_wait and event.kind != "abort")
        if first < event.time < last and not excused:
            found.append(event)
    return found


def assert_steady(name: str, events: list[Event]) -> None:
    """Nothing new; where garbage is made, a few side traces, and loops met by a root trace."""
    if name not in ALLOCATING:
        assert events == []
        return
    assert sum(event.kind == "stop" for event in events) <= 3, events
    assert {event.code for event in events if event.kind == "abort"} <= {9}, events


def source_lines(name: str = "loop.lua") -> list[str]:
    """A file of the engine."""
    return (LUA_ROOT / "engine" / name).read_text(encoding="utf-8").splitlines()


def loop_line() -> int:
    """The line of the endless loop."""
    return source_lines().index("  repeat until not go_on()") + 1


def test_the_warm_up_compiles_the_loop(server: Server) -> None:
    events = [event for event in server.stop() if event.time < server.warmed]
    heads = [event.place for event in events if event.kind == "root"]

    assert f"loop.lua:{loop_line()}" in heads, heads
    assert sum(event.kind == "stop" for event in events) > 10


def test_the_loop_is_compiled_first_and_its_lessons_make_nothing_but_side_traces(
    server: Server,
) -> None:
    events = [event for event in server.stop() if event.time < server.warmed]
    found = server.engine.execute("return require('jit.util').traceinfo(1)")
    kinds = [event.kind for event in events]
    after = events[len(kinds) - kinds[::-1].index("flush") :]
    first, second, *_ = [index for index, event in enumerate(after) if event.kind == "root"]
    begun = [event.place.rpartition("/")[2] for event in (after[first], after[second])]

    assert begun[0] == f"loop.lua:{loop_line()}"
    assert after[first + 1].kind == "stop"
    # Behind the lessons the codec is compiled, and by chance what shares its counters.
    assert begun[1].partition(":")[0] in CODEC, begun
    assert sum(event.kind == "stop" for event in after[first:second]) > 20
    assert found[b"linktype"] == b"loop"
    # 621 while what lies in upvalues was no constant: each value costs a load and a check.
    assert found[b"nins"] < 560


def test_the_warm_up_is_given_up_nowhere_unexpected(server: Server) -> None:
    events = server.stop()
    aborts = [event for event in events if event.kind == "abort" and event.time < server.warmed]

    assert {event.code for event in aborts} <= EXPECTED_ABORTS, aborts


@pytest.mark.parametrize("name", REQUESTS)
def test_a_steady_stream_is_compiled_and_stays_so(server: Server, name: str) -> None:
    settled = server.stream(name, SETTLE)
    finished = server.stream(name, STEADY)

    assert_steady(name, between(server.stop(), settled, finished))


def test_a_steady_mix_is_compiled_and_stays_so(server: Server) -> None:
    mix = b"".join(stream(name, 2) for name in REQUESTS)
    count = 2 * len(REQUESTS)
    for _ in range(SETTLE):
        server.exchange(mix, count)
    settled = time.monotonic()
    for _ in range(STEADY):
        server.exchange(mix, count)
    finished = time.monotonic()

    assert_steady("mix", between(server.stop(), settled, finished))


@pytest.mark.parametrize("wait", ["yield()", "sleep(0)", "sleep(0.0001)"])
def test_what_follows_a_wait_is_compiled(server: Server, wait: str) -> None:
    source = f"local fiber = require('fiber') function waits() fiber.{wait} return 1 end"
    server.exchange(frame(pack({0: EVAL, 1: 1}) + pack({0x27: source, 0x21: []})), 1)
    packets = frame(pack({0: CALL, 1: 5}) + pack({0x22: "waits", 0x21: []})) * BATCH
    for _ in range(SETTLE):
        server.exchange(packets, BATCH)
    events = [event for event in server.stop() if event.time > server.warmed]

    lines = source_lines("fibers.lua")
    woken = lines.index("  local answer = yield(WAIT)") + 1
    outcomes = [
        after.kind
        for event, after in pairwise(events)
        if event.kind == "side" and event.place.endswith(f"fibers.lua:{woken}")
    ]
    assert "stop" in outcomes
    assert "abort" not in outcomes


@pytest.mark.parametrize("odd", ["error", "id"])
def test_odd_requests_do_not_spoil_the_others(server: Server, odd: str) -> None:
    packet = {
        "error": frame(pack({0: CALL, 1: 1}) + pack({0x22: "nosuch", 0x21: []})),
        "id": frame(pack({0: ID, 1: 1}) + pack({0x54: 6, 0x55: [0, 2]})),
    }[odd]
    for _ in range(200):
        server.exchange(packet + stream("exists", 20), 21)
    settled = server.stream("exists", SETTLE)
    finished = server.stream("exists", STEADY)

    assert between(server.stop(), settled, finished) == []


def test_containers_of_all_sizes_do_not_spoil_the_loop(server: Server) -> None:
    server.stream("map", SETTLE)
    server.stream("ten", SETTLE)
    finished = server.stream("map", SETTLE)
    events = between(server.stop(), server.warmed, finished)
    aborts = [event for event in events if event.kind == "abort"]

    # 16: a trace that began in a loop of the encoder could not return to the request.
    assert [event for event in aborts if event.code == 16] == []
    assert [event for event in aborts if "loop.lua" in event.place] == []


IN_PROCESS = """
local ffi = require('ffi')
local loop, state = require('beespace.engine.loop'), require('beespace.engine.state')
local st = state.st
return function(bytes, rounds)
  collectgarbage() collectgarbage() collectgarbage('stop')
  local before = collectgarbage('count')
  for _ = 1, rounds do
    ffi.copy(state.input, bytes, #bytes)
    st.i, st.have, st.fd, st.w, st.k, st.n, st.stop = 0, #bytes, 0, 0, 0, 0, 1
    loop.guard()
  end
  st.stop = 0
  local grown = collectgarbage('count') - before
  collectgarbage('restart')
  return grown * 1024
end
"""


@pytest.mark.parametrize("name", ["ping", "id", "exists"])
def test_a_request_makes_no_garbage(engine: Engine, name: str) -> None:
    run = engine.execute(IN_PROCESS)
    data = stream(name, 1000)
    engine.runtime.call(run, data, 10)
    grown = engine.runtime.call(run, data, 100)

    assert grown < 50_000, f"{grown / 100_000} bytes a request"
