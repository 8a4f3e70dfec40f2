"""Subscriptions of sessions: WATCH, UNWATCH, WATCH_ONCE, EVENT, and the states between them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers.engine import Client, Engine, error_of
from tests.helpers.raw import EVAL, PING, Packet, frame, pack, request

WATCH, UNWATCH, EVENT, WATCH_ONCE = 74, 75, 76, 77
KEY, DATA = 0x57, 0x58
SET = "require('beespace.engine.events').put(...)"


def watch(key: str, sync: int = 1) -> bytes:
    return request({0: WATCH, 1: sync}, {KEY: key})


def unwatch(key: str, sync: int = 1) -> bytes:
    return request({0: UNWATCH, 1: sync}, {KEY: key})


def broadcast(engine: Engine, key: str, value: object) -> None:
    packed = pack(value) if value is not None else None
    engine.execute(SET, key.encode(), packed)


def told(packets: list[Packet]) -> list[tuple[int, str, object]]:
    """Sync, key and value of packets that must all be events."""
    for packet in packets:
        assert packet.header == {0: EVENT, 1: packet.sync}
    return [(packet.sync, packet.body[KEY], packet.body.get(DATA)) for packet in packets]


def events(client: Client) -> list[tuple[int, str, object]]:
    client.engine.turn()
    client.read()
    return told(client.packets())


@pytest.fixture
def key(request: pytest.FixtureRequest, engine: Engine) -> Iterator[str]:
    name = f"key of {request.node.name}"
    yield name
    broadcast(engine, name, None)


def test_the_bytes(client: Client, engine: Engine) -> None:
    client.send(bytes.fromhex("ce 00 00 00 0b 82 00 4a 01 05 81 57 a3 66 6f 6f"))
    assert client.buffer.hex(" ") == "ce 00 00 00 0b 82 00 4c 01 05 81 57 a3 66 6f 6f"
    client.buffer.clear()
    broadcast(engine, "foo", 123)
    client.send(bytes.fromhex("ce 00 00 00 0b 82 00 4a 01 05 81 57 a3 66 6f 6f"))
    assert client.buffer.hex(" ") == "ce 00 00 00 0d 82 00 4c 01 05 82 57 a3 66 6f 6f 58 7b"
    client.buffer.clear()
    broadcast(engine, "foo", None)


def test_one_event_until_it_is_acknowledged(client: Client, engine: Engine, key: str) -> None:
    client.send(watch(key, 5))
    assert events(client) == [(5, key, None)]
    for value in range(3):
        broadcast(engine, key, value)
        assert events(client) == []
    client.send(watch(key, 6))
    assert events(client) == [(6, key, 2)]
    client.send(watch(key, 7))
    assert events(client) == []
    client.send(watch(key, 2**64 - 1))
    assert events(client) == []
    broadcast(engine, key, {"a": [1]})
    assert events(client) == [(2**64 - 1, key, {"a": [1]})]


def test_several_values_in_one_turn_are_one_event(client: Client, engine: Engine, key: str) -> None:
    client.send(watch(key) * 2)
    assert events(client) == [(1, key, None)]
    for value in range(5):
        broadcast(engine, key, value)
    client.send(watch(key))
    assert events(client) == [(1, key, 4)]


def test_a_value_that_is_taken_away(client: Client, engine: Engine, key: str) -> None:
    broadcast(engine, key, 1)
    client.send(watch(key))
    assert events(client) == [(1, key, 1)]
    broadcast(engine, key, None)
    client.send(watch(key))
    assert events(client) == [(1, key, None)]


def test_unwatch(client: Client, engine: Engine, key: str) -> None:
    client.send(unwatch(key))
    client.send(watch(key) + unwatch(key))
    assert events(client) == []
    client.send(watch(key))
    assert events(client) == [(1, key, None)]
    client.send(unwatch(key))
    broadcast(engine, key, 1)
    assert events(client) == []
    client.send(watch(key))
    assert events(client) == [(1, key, 1)]


def test_events_come_behind_the_answers_of_their_batch(client: Client, key: str) -> None:
    source = {0x27: "box.broadcast(...) return 'done'", 0x21: [key, 5]}
    client.send(watch(key, 1) + request({0: EVAL, 1: 2}, source) + request({0: PING, 1: 3}))
    packets = client.packets()
    assert [(packet.type, packet.sync) for packet in packets] == [(0, 2), (0, 3), (EVENT, 1)]
    assert packets[2].body[DATA] == 5


def test_watch_once(client: Client, engine: Engine, key: str) -> None:
    assert client.request(WATCH_ONCE, {KEY: key}).data == []
    broadcast(engine, key, [1, {"x": None}])
    assert client.request(WATCH_ONCE, {KEY: key}).data == [[1, {"x": None}]]
    broadcast(engine, key, None)
    assert client.request(WATCH_ONCE, {KEY: key}).data == []


@pytest.mark.parametrize("kind", [WATCH, UNWATCH, WATCH_ONCE])
def test_malformed_requests(client: Client, kind: int) -> None:
    for body, error in {
        b"": (20, "Invalid MsgPack - missing request body"),
        pack({}): (69, "Missing mandatory field 'EVENT_KEY' in request"),
        pack({0x58: 1}): (69, "Missing mandatory field 'EVENT_KEY' in request"),
        pack({0x57: 1}): (20, "Invalid MsgPack - packet body"),
        pack({0x57: None}): (20, "Invalid MsgPack - packet body"),
        pack({0x57: b"x"}): (20, "Invalid MsgPack - packet body"),
        pack([1]): (20, "Invalid MsgPack - packet body"),
        pack({"x": 1}): (20, "Invalid MsgPack - packet body"),
        b"\x81\x57": (20, "Invalid MsgPack - packet body"),
    }.items():
        (answer,) = client.exchange(frame(pack({0: kind, 1: 5}) + body))
        assert (error_of(answer), answer.sync) == (error, 5)


@pytest.mark.parametrize(
    ("kind", "name"), [(74, "WATCH"), (75, "UNWATCH"), (77, "WATCH_ONCE"), (68, "VOTE")]
)
def test_not_in_a_stream(client: Client, kind: int, name: str) -> None:
    (answer,) = client.exchange(request({0: kind, 1: 1, 10: 1}, {KEY: "x"}))
    assert error_of(answer) == (229, f"Unable to process {name} request in stream")


def test_an_event_is_no_request(client: Client) -> None:
    assert error_of(client.request(EVENT, {KEY: "x"})) == (48, "Unknown request type 76")


def test_odd_keys(client: Client, engine: Engine) -> None:
    for key in ("", "x" * 70000, "\x00", "with space"):
        client.send(watch(key))
        assert events(client) == [(1, key, None)]
        client.send(unwatch(key))


# Sessions ----------------------------------------------------------------------------------------

COUNT = "return require('beespace.engine.watch').count(...)"


def test_a_session_that_ends_watches_no_more(engine: Engine, key: str) -> None:
    with engine.connect() as first, engine.connect() as second:
        first.send(watch(key) + watch("other"))
        second.send(watch(key))
        assert engine.execute(COUNT, key.encode()) == 2
        first.close()
        assert engine.execute(COUNT, key.encode()) == 1
        assert engine.execute(COUNT, b"other") == 0
        with engine.connect() as third:
            broadcast(engine, key, 1)
            assert events(third) == []
    assert engine.execute(COUNT, key.encode()) == 0


def test_a_session_watches_a_bounded_number_of_keys(engine: Engine) -> None:
    refused = (5, "beespace does not support more watched keys in one session")
    with engine.connect() as client:
        client.send(b"".join(watch(f"{number:09}", number) for number in range(10100)))
        answers = [packet for packet in client.packets() if packet.type != EVENT]
        limit = 2 * 1024 * 1024 // 209
        assert [error_of(answer) for answer in answers] == [refused] * (10100 - limit)
        client.send(unwatch("000000000") + watch("000010200"))
        assert [key for _, key, _ in events(client)] == ["000010200"]
        client.send(watch("x" * (2 << 20)))
        (answer,) = client.packets()
        assert error_of(answer) == refused
        assert client.in_step()


def test_a_session_that_does_not_read_is_not_told(engine: Engine) -> None:
    value = "x" * 200_000
    keys = [f"large {number}" for number in range(60)]
    for each in keys:
        broadcast(engine, each, value[:100_000] if each == keys[0] else value[:30_000])
    with engine.connect(buffer=4096) as slow, engine.connect() as other:
        slow.socket.sendall(b"".join(watch(each) for each in keys))
        engine.run()
        assert slow.held()[1] < 4 << 20
        assert slow.slot.pending_out < 2 << 20
        assert other.in_step()
        found = events(slow)
        assert sorted(key for _, key, _ in found) == sorted(keys)
        assert slow.held() == (0, 0)
    for each in keys:
        broadcast(engine, each, None)


def test_many_sessions_and_a_large_value(engine: Engine, key: str) -> None:
    value = "x" * 300_000
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(engine.connect()) for _ in range(30)]
        for client in clients:
            client.send(watch(key) + watch(key))
            assert events(client) == [(1, key, None)]
            client.send(watch(key))
        broadcast(engine, key, value)
        for client in clients:
            assert events(client) == [(1, key, value)]


# Keys with a value for each session --------------------------------------------------------------

LOCAL = """
local watch = require('beespace.engine.watch')
values = {}
local codec = require('beespace.engine.codec')
watch.set_local('local key', function(fd, id)
  return values[id] and codec.pack(values[id])
end)
function set_value(fd, id, value)
  values[id] = value
  watch.notify_local(id, 'local key')
end
"""


def test_a_local_key(engine: Engine) -> None:
    engine.execute(LOCAL)
    with engine.connect() as one, engine.connect() as two:
        for client in (one, two):
            client.send(watch("local key", 7))
            assert events(client) == [(7, "local key", None)]
            client.send(watch("local key", 8))
            assert events(client) == []
        engine.execute("set_value(...)", one.fd, one.id, 5)
        assert events(one) == [(8, "local key", 5)]
        assert events(two) == []
        engine.execute("set_value(...)", one.fd, one.id, 6)
        engine.execute("set_value(...)", one.fd, one.id, 7)
        assert events(one) == []
        one.send(watch("local key", 9))
        assert events(one) == [(9, "local key", 7)]
        assert one.request(WATCH_ONCE, {KEY: "local key"}).data == [7]
        assert two.request(WATCH_ONCE, {KEY: "local key"}).data == []
        assert one.eval("return box.watch_once('local key')").data == [7]
        engine.execute("set_value(...)", 0, 999, 7)
        two.send(unwatch("local key"))
        engine.execute("set_value(...)", two.fd, two.id, 1)
        assert events(two) == []


# The table of states -----------------------------------------------------------------------------

ACT = """
local watch = require('beespace.engine.watch')
local state, events = require('beespace.engine.state'), require('beespace.engine.events')
local bit, ffi, codec = require('bit'), require('ffi'), require('beespace.engine.codec')
local function as(fd, id, sync, act, key)
  state.cur.fd, state.cur.id = fd, id
  state.st.sync = bit.bswap(ffi.cast('uint64_t', sync))
  act(key)
  state.cur.fd, state.cur.id = -1, 0
end
return function(what, key, fd, id, sync)
  if what == 'broadcast' then
    events.put(key, sync and codec.pack(sync))
  else
    as(fd, id, sync, watch[what], key)
  end
end
"""


@dataclass
class Subscription:
    """What the table says of one session and key."""

    sync: int
    state: str = "due"
    version: int = -1


class Model:
    """The states of all subscriptions, by session and key."""

    def __init__(self) -> None:
        self.subscriptions: dict[tuple[int, str], Subscription] = {}
        self.values: dict[str, int | None] = {}
        self.versions: dict[str, int] = {}
        self.changes = 0

    def watch(self, session: int, key: str, sync: int) -> None:
        found = self.subscriptions.get((session, key))
        if found is None:
            self.subscriptions[session, key] = Subscription(sync)
            return
        found.sync = sync
        if found.state == "sent":
            changed = found.version != self.versions.get(key, 0)
            found.state = "due" if changed else "idle"

    def unwatch(self, session: int, key: str) -> None:
        self.subscriptions.pop((session, key), None)

    def broadcast(self, key: str, value: int | None) -> None:
        self.values[key] = value
        self.changes += 1
        self.versions[key] = self.changes if value is not None else 0
        for (_, watched), found in self.subscriptions.items():
            if watched == key and found.state == "idle":
                found.state = "due"

    def turn(self, session: int) -> list[tuple[int, str, object]]:
        told: list[tuple[int, str, object]] = []
        for (owner, key), found in self.subscriptions.items():
            version = self.versions.get(key, 0)
            if owner != session or found.state != "due":
                continue
            if found.version == version:
                found.state = "idle"
            else:
                told.append((found.sync, key, self.values.get(key)))
                found.state, found.version = "sent", version
        return sorted(told, key=str)


KEYS = ("alpha", "beta")
ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("watch"), st.sampled_from(KEYS), st.integers(0, 1)),
        st.tuples(st.just("watch"), st.sampled_from(KEYS), st.integers(0, 1)),
        st.tuples(st.just("unwatch"), st.sampled_from(KEYS), st.integers(0, 1)),
        st.tuples(st.just("broadcast"), st.sampled_from(KEYS), st.none() | st.integers(1, 99)),
        st.tuples(st.just("turn"), st.none(), st.none()),
    ),
    max_size=40,
)


@settings(max_examples=300, deadline=None)
@given(ACTIONS)
def test_the_table_of_states(engine: Engine, actions: list[tuple[str, str, int | None]]) -> None:
    act, model = engine.execute(ACT), Model()
    with engine.connect() as one, engine.connect() as two:
        clients = (one, two)
        for sync, (what, key, value) in enumerate([*actions, ("turn", "", None)], 1):
            if what == "turn":
                for number, client in enumerate(clients):
                    assert sorted(events(client), key=str) == model.turn(number)
            elif what == "broadcast":
                engine.runtime.call(act, b"broadcast", key.encode(), None, None, value)
                model.broadcast(key, value)
            else:
                assert value is not None
                client = clients[value]
                engine.runtime.call(act, what.encode(), key.encode(), client.fd, client.id, sync)
                if what == "watch":
                    model.watch(value, key, sync)
                else:
                    model.unwatch(value, key)
    for key in KEYS:
        broadcast(engine, key, None)
