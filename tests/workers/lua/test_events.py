"""The event store: one value a key for all workers, also when it is compacted, and when full."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from shm import layout
from shm.segment import Segment
from tests.helpers.engine import Engine
from tests.helpers.lua import make_runtime
from tests.workers.lua.test_locks import holder

SMALL = 64 * 1024
HALF = SMALL // 2
PROGRAM = """
local address, cdef, facts, bus_sent = ...
local shared = require('beespace.engine.table')
shared.declare(cdef, facts)
shared.attach(address, 0)
local events = require('beespace.engine.events')
local bus = require('beespace.engine.bus')
bus.broadcast = function(kind) bus_sent[#bus_sent + 1] = kind end
events.attach()
local told = {}
events.listen(function(key, version)
  if key == 'raise' then error('as asked') end
  told[#told + 1] = key .. '=' .. version
end)
return {
  put = function(key, value) return events.put(key, value) end,
  get = events.get, generation = events.generation, moved = events.moved,
  poll = function()
    local nudges = #bus_sent
    events.poll()
    local text = table.concat(told, ' ')
    told = {}
    return text, #bus_sent - nudges
  end,
}
"""


class Store:
    """The store as one worker has it."""

    def __init__(self, segment: Segment) -> None:
        self.logged: list[str] = []
        self.runtime = make_runtime({"log": lambda _, text: self.logged.append(text.decode())})
        chunk = self.runtime.execute("return assert(loadstring(...))", PROGRAM.encode())
        facts = "".join(f"{a} {b} {c}\n" for a, b, c in layout.facts()).encode()
        self.api = self.runtime.call(
            chunk, segment.address, layout.cdef().encode(), facts, self.runtime.table({})
        )

    def _call(self, name: str, *arguments: Any) -> Any:
        return self.runtime.call(self.api[name.encode()], *arguments)

    def put(self, key: bytes, value: bytes | None) -> str | None:
        """None, or why it was not stored."""
        found = self._call("put", key, value)
        return None if found is True else found[1].decode()

    def get(self, key: bytes) -> bytes | None:
        value = self._call("get", key)[0]
        return None if value is None else bytes(value)

    def version(self, key: bytes) -> int:
        return int(self._call("get", key)[1])

    def generation(self) -> int:
        return int(self._call("generation"))

    def moved(self) -> bool:
        return bool(self._call("moved"))

    def poll(self) -> list[str]:
        """What the listener was told."""
        return self._call("poll")[0].decode().split()

    def nudges(self) -> int:
        return int(self._call("poll")[1])


@pytest.fixture
def segment(segment_name: str) -> Iterator[Segment]:
    made = Segment.create(segment_name, 8, 2, SMALL)
    yield made
    made.close()


@pytest.fixture
def store(segment: Segment) -> Callable[[], Store]:
    return lambda: Store(segment)


def epoch(segment: Segment) -> int:
    """Compactions so far."""
    return int(segment.header.event_generation) >> 32


def test_all_workers_have_the_newest_value(store: Callable[[], Store]) -> None:
    first, second = store(), store()
    assert (first.get(b"k"), first.version(b"k"), first.generation()) == (None, 0, 0)
    assert first.put(b"k", b"\xa1x") is None
    assert second.get(b"k") == b"\xa1x"
    assert second.put(b"k", b"\x05") is None
    assert (first.get(b"k"), first.version(b"k")) == (b"\x05", 2)
    assert first.generation() == second.generation() == 2


@pytest.mark.parametrize("key", [b"", b"\0", b"k" * 65536, bytes(range(256))])
@pytest.mark.parametrize("length", [1, 7, 8, 9, 15, 16, 17, 20000])
def test_any_key_and_length(segment_name: str, key: bytes, length: int) -> None:
    roomy = Segment.create(segment_name, 8, 2, 4 * SMALL)
    try:
        writer, reader = Store(roomy), Store(roomy)
        value = random.Random(length).randbytes(length)
        assert writer.put(key, value) is None
        assert writer.put(b"other", b"\xc0") is None
        assert (reader.get(key), reader.get(b"other")) == (value, b"\xc0")
    finally:
        roomy.close()


def test_a_key_that_is_too_long(store: Callable[[], Store]) -> None:
    text = f"the key of event '{'k' * 64}...' has 65537 bytes, at most 65536 are allowed"
    assert store().put(b"k" * 65537, b"\xc0") == text


def test_a_removed_key_has_no_value(store: Callable[[], Store]) -> None:
    first, second = store(), store()
    first.put(b"k", b"\x01")
    assert second.get(b"k") == b"\x01"
    first.put(b"k", None)
    assert (second.get(b"k"), second.version(b"k")) == (None, 0)
    first.put(b"k", b"\x02")
    assert (second.get(b"k"), second.version(b"k")) == (b"\x02", 3)


def test_listeners_are_told_what_moved_since(store: Callable[[], Store]) -> None:
    first, second = store(), store()
    assert not first.moved()
    first.put(b"a", b"\x01")
    first.put(b"b", b"\x01")
    first.put(b"a", b"\x02")
    assert first.moved()
    assert second.moved()
    assert first.poll() == second.poll() == ["a=3", "b=2"]
    assert first.poll() == second.poll() == []
    assert not first.moved()
    first.put(b"a", None)
    first.put(b"never", None)
    assert first.poll() == second.poll() == ["a=4", "never=5"]


def test_what_get_has_read_is_told_too(store: Callable[[], Store]) -> None:
    first, second = store(), store()
    first.put(b"a", b"\x01")
    assert second.get(b"a") == b"\x01"
    assert second.moved()
    assert second.poll() == ["a=1"]
    assert not second.moved()


def test_others_are_nudged_once_a_turn(store: Callable[[], Store]) -> None:
    first, second = store(), store()
    for _ in range(5):
        first.put(b"a", b"\x01")
    assert first.nudges() == 1
    assert first.nudges() == second.nudges() == 0


def test_a_listener_that_fails_harms_nobody(store: Callable[[], Store]) -> None:
    only = store()
    for key in (b"a", b"raise", b"b"):
        only.put(key, b"\x01")
    assert only.poll() == ["a=1", "b=3"]
    assert len(only.logged) == 1
    assert only.logged[0].endswith("as asked")
    assert only.poll() == []


# Compaction --------------------------------------------------------------------------------------


def test_compaction_keeps_what_has_a_value(store: Callable[[], Store], segment: Segment) -> None:
    first, second = store(), store()
    for number in range(20):
        first.put(b"stays%d" % number, b"\xa1" + b"%d" % number)
    first.put(b"gone", b"\x01")
    assert len(second.poll()) == 21
    first.put(b"gone", None)
    turns = 0
    while epoch(segment) < 3:
        turns += 1
        assert first.put(b"turns", b"%d" % turns + b"x" * 1000) is None
    late = store()
    for each in (first, second, late):
        assert [each.get(b"stays%d" % n) for n in range(20)] == [b"\xa1%d" % n for n in range(20)]
        assert each.get(b"gone") is None
        assert each.get(b"turns") == b"%d" % turns + b"x" * 1000
        assert each.generation() == turns + 22
    told = second.poll()
    assert sorted(entry.split("=")[0] for entry in told) == ["gone", "turns"]
    assert f"turns={turns + 22}" in told
    assert len(late.poll()) == 21


def test_a_removal_that_compacts(store: Callable[[], Store], segment: Segment) -> None:
    first, second = store(), store()
    size = (HALF - 8) // 2 - 24
    assert first.put(b"a", b"a" * size) is None
    assert first.put(b"b", b"b" * size) is None
    assert second.poll() == ["a=1", "b=2"]
    assert epoch(segment) == 0
    assert first.put(b"a", None) is None
    assert epoch(segment) == 1
    assert (second.get(b"a"), second.get(b"b"), second.generation()) == (None, b"b" * size, 3)
    assert second.poll() == ["a=3"]
    assert first.put(b"c", b"c") is None
    assert second.version(b"c") == 4


def test_a_value_that_replaces_itself_may_take_it_all(store: Callable[[], Store]) -> None:
    first, second = store(), store()
    whole = HALF - 8 - 16 - 8
    for number in range(4):
        assert first.put(b"k", bytes([number]) * whole) is None
        assert second.get(b"k") == bytes([number]) * whole


def test_a_full_store_says_so_and_stays_as_it_was(store: Callable[[], Store]) -> None:
    first, second = store(), store()
    filled = 0
    while (why := first.put(b"key%04d" % filled, b"v" * 1000)) is None:
        filled += 1
    assert filled == (HALF - 8) // 1024
    left = HALF - 8 - filled * 1024
    assert why == (
        f"no room for event 'key{filled:04}': it needs 1024 bytes, {left} of 32768 are free "
        "(events.memory)"
    )
    assert first.put(b"bad\nkey", b"v" * 40_000) == (
        f"no room for event 'bad?key': it needs 40024 bytes, {left} of 32768 are free "
        "(events.memory)"
    )
    assert [second.get(b"key%04d" % n) for n in range(filled)] == [b"v" * 1000] * filled
    first.put(b"key0003", None)
    assert first.put(b"key%04d" % filled, b"w" * 1000) is None
    assert second.get(b"key%04d" % filled) == b"w" * 1000


def test_against_a_model(store: Callable[[], Store], segment: Segment) -> None:
    draw = random.Random(5)
    stores = [store() for _ in range(3)]
    model: dict[bytes, bytes] = {}
    told: list[set[bytes]] = [set() for _ in stores]
    for turn in range(6000):
        key = b"key%d" % draw.randrange(60)
        value = None if draw.random() < 0.2 else b"%d:" % turn + b"x" * draw.randrange(300)
        assert draw.choice(stores).put(key, value) is None
        if value is None:
            model.pop(key, None)
        else:
            model[key] = value
        for each in told:
            each.add(key)
        number = draw.randrange(3)
        probe = b"key%d" % draw.randrange(60)
        assert stores[number].get(probe) == model.get(probe)
        if turn % 40 == number:
            heard = {entry.rpartition("=")[0].encode() for entry in stores[number].poll()}
            # A key that was new and gone again between two compactions had nobody to miss it.
            assert heard <= told[number]
            assert {k for k in told[number] if k in model} <= heard
            told[number] = set()
    assert epoch(segment) > 20


# In the loop -------------------------------------------------------------------------------------

LISTEN = """
local events = require('beespace.engine.events')
told = {}
events.listen(function(key, version) told[#told + 1] = key .. '=' .. version end)
put = events.put
"""


def test_the_loop_tells_what_moved() -> None:
    with Engine() as engine, engine.connect() as client:
        engine.execute(LISTEN)
        assert client.eval("return put('k', '\\5'), #told").data == [True, 0]
        client.read()
        assert client.eval("return unpack(told)").data == ["k=1"]
        Store(engine.segment).put(b"other", b"\x01")
        assert client.eval("return 1").data == [1]
        client.read()
        assert client.eval("return unpack(told)").data == ["k=1", "other=2"]


def test_a_lock_that_cannot_be_had_is_the_requests_error() -> None:
    with Engine() as engine, engine.connect() as client:
        engine.execute(LISTEN)
        with holder(engine.segment):
            answer = client.eval("put('k', '\\5')")
            assert answer.text == "the lock of the events was not free for 1 s: its holder hangs"
            assert client.in_step()
        assert client.eval("return put('k', '\\5')").data == [True]
