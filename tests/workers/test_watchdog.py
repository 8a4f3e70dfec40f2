"""Code that runs too long, or takes too much memory, is ended.

The engine runs in the test's thread, as in a worker; the watchdog is beside it.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Iterator

import pytest

from shm import logs
from shm.launch import LogOrder
from tests.helpers.consoles import open_console
from tests.helpers.engine import Engine, error_of
from tests.helpers.raw import PING, Packet, request
from tests.helpers.wait import wait_until
from tests.helpers.watchdog import BUSY, INTERPRETED, LOOPS, WAIT, enforcer_of, guarded, hooked
from workers.watchdog import Limits, Places, Watchdog

TEXT = "request took longer than limits.request_time (0.2 s)"
LIMIT = 0.2
NO_MEMORY = "not enough memory: lua.memory is 67108864 bytes"
MEMORY = 64 << 20


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with Engine() as made, guarded(made, Limits(time=LIMIT)):
        yield made


def test_the_statement_of_a_console_is_named(
    engine: Engine, capfd: pytest.CaptureFixture[str]
) -> None:
    logs.configure(LogOrder(), "worker-0")
    console = open_console(engine)
    said = console.say(f"{INTERPRETED}while true do end -- {'x' * 100}\n")
    assert b"took longer than limits.request_time" in said.replace(b"\n    ", b" ")
    assert console.say("1\n") == b"---\n- 1\n...\n"
    (line,) = capfd.readouterr().err.splitlines()
    assert f"/{console.id} " in line
    assert f"console: {INTERPRETED}while true do end -- {'x' * 16}..." in line
    assert "x" * 17 not in line
    assert engine.execute("return require('beespace.engine.state').executed[...].id", 0) == 0


@pytest.mark.parametrize("source", LOOPS)
def test_a_request_is_ended(engine: Engine, source: str) -> None:
    with engine.connect() as client:
        answer = client.eval(source)

        assert answer.code == 32
        assert answer.text.endswith(TEXT)
        assert answer.text.startswith("eval:")
        assert client.in_step()
        assert not hooked(engine), "the hook is quiet, but not gone"


def test_an_application_file_is_named(engine: Engine) -> None:
    engine.execute(
        "local chunk = loadstring(...)  jit.off(chunk, true)  _G.spin = chunk()",
        b"return function()\n  while true do\n  end\nend",
    )
    with engine.connect() as client:
        code, text = error_of(client.call("spin"))
    assert code == 32
    assert text.endswith(TEXT)
    assert ":2: " in text


def test_the_rest_of_the_batch_is_answered(engine: Engine) -> None:
    runaway = request({0: 8, 1: 2}, {0x27: "while true do pcall(error) end"})
    with engine.connect() as client:
        answers = client.exchange(
            request({0: PING, 1: 1}) + runaway + runaway + request({0: PING, 1: 3})
        )
        assert [(each.sync, each.code) for each in answers] == [(1, 0), (2, 32), (2, 32), (3, 0)]


def test_many_short_requests_are_left_alone(engine: Engine) -> None:
    """Together they take longer than one may."""
    source = BUSY.format(0.02)
    with engine.connect() as client:
        packets = [request({0: 8, 1: n}, {0x27: source}) for n in range(30)]
        assert [answer.code for answer in client.exchange(b"".join(packets))] == [0] * 30


def eventually(engine: Engine, source: str) -> Packet:
    with engine.connect() as client:
        client.send(request({0: 8, 1: 1}, {0x27: source}))

        def answered() -> list[Packet]:
            engine.turn()
            client.read()
            return client.packets()

        (answer,) = wait_until(answered, 5, "the answer")
        return answer


def test_a_request_that_has_waited_is_ended(engine: Engine) -> None:
    engine.execute(WAIT)
    answer = eventually(engine, "pause() while true do pcall(error) end")
    assert error_of(answer) == (32, f"eval:1: {TEXT}")


def test_waiting_takes_no_time(engine: Engine) -> None:
    engine.execute(WAIT)
    answer = eventually(engine, "for _ = 1, 20 do pause() end return 7")
    assert answer.data == [7]


def test_fibers_without_end_are_ended(engine: Engine) -> None:
    engine.execute(WAIT)
    source = "while true do background(function() end) end"
    assert error_of(eventually(engine, source)) == (32, f"eval:1: {TEXT}")
    with engine.connect() as client:
        assert client.eval("later(function() while true do pcall(error) end end)").code == 0
        assert client.in_step()


def test_applications_cannot_take_the_hook_away(engine: Engine) -> None:
    with engine.connect() as client:
        assert client.eval("return debug.sethook, debug.gethook").data == [None, None]


class Fake:
    """A pulse that a test moves, without Lua."""

    def __init__(self, engine: Engine) -> None:
        self.memory = bytearray(256)
        at = ctypes.addressof(ctypes.c_char.from_buffer(self.memory))
        self.died = threading.Event()
        self.attempts = 0
        places = Places(0, 0, at, at + 64, at + 128, at + 160, at + 160)
        enforcer = enforcer_of(engine, places)
        self.dog = Watchdog(self, places, Limits(time=0.01), engine.table, enforcer, self.died.set)

    def heap(self) -> int:
        return 0

    def interrupt(self) -> None:
        self.attempts += 1

    def run(self, packet: bytes) -> None:
        self.memory[160 : 160 + len(packet)] = packet
        ctypes.c_int32.from_buffer(self.memory, 16).value = len(packet)
        ctypes.c_int32.from_buffer(self.memory, 24).value = 1


def test_what_cannot_be_ended_takes_the_process_along(
    engine: Engine, capfd: pytest.CaptureFixture[str]
) -> None:
    logs.configure(LogOrder(), "worker-0")
    fake = Fake(engine)
    with engine.connect() as client, fake.dog:
        ctypes.c_double.from_buffer(fake.memory, 128).value = client.id
        fake.run(request({0: 10, 1: 1}, {0x22: "stuck"}))
        assert fake.died.wait(10)
    assert fake.attempts > 1
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 2
    for line, part in zip(lines, ["code runs too long", "this worker ends"], strict=True):
        assert part in line
        assert f"/{client.id} " in line
        assert "peer=127.0.0.1:4000" in line
        assert "request=call stuck" in line


def test_an_idle_loop_is_left_alone(engine: Engine) -> None:
    fake = Fake(engine)
    with fake.dog:
        assert not fake.died.wait(0.3)
    assert fake.attempts == 0


# Memory -----------------------------------------------------------------------------------------


@pytest.fixture
def small() -> Iterator[Engine]:
    """An engine whose Lua may have 64 MB."""
    with Engine() as made, guarded(made, Limits(memory=MEMORY)):
        yield made


GREEDY = [
    "local t = {} for i = 1, 1e9 do t[i] = {i} end",
    "local t = {} for i = 1, 1e9 do t[i] = tostring(i) end",
    "local t = {} for i = 1, 1e9 do t[i] = i end",
    "local t = {} for i = 1, 1e9 do t[i] = ('x'):rep(1000000) .. i end",
    "local s = 'x' while true do s = s .. s end",
    "local t = {} for i = 1, 1e9 do t[i] = require('ffi').new('int64_t', i) end",
    "local t = {} while true do pcall(function() for i = 1, 1e9 do t[#t + 1] = {} end end) end",
]


@pytest.mark.parametrize("source", GREEDY)
def test_a_request_that_takes_too_much_memory_is_ended(small: Engine, source: str) -> None:
    with small.connect() as client:
        answer = client.eval(source)
        assert answer.code == 32
        assert answer.text.endswith(NO_MEMORY)
        assert client.in_step()
        assert not hooked(small)
        assert client.eval("return collectgarbage('count')").data[0] < 32 * 1024
        assert client.eval("return collectgarbage('setstepmul', 200)").data == [200]


def test_garbage_is_collected_before_anybody_is_blamed(small: Engine) -> None:
    """40 MB are in use and every round makes garbage; a collection by itself comes at 80 MB."""
    source = """
        local kept = ('x'):rep(40e6)
        for i = 1, 300 do local s = ('y'):rep(1e6) .. i end
        return #kept
        """
    with small.connect() as client:
        assert client.eval(source).data == [40_000_000]


def test_what_others_keep_is_not_taken_from_them(small: Engine) -> None:
    with small.connect() as greedy, small.connect() as modest:
        modest.eval("kept = {} for i = 1, 1000 do kept[i] = {i} end")
        assert greedy.eval(GREEDY[0]).code == 32
        assert modest.eval("return #kept, kept[1000][1]").data == [1000, 1000]
