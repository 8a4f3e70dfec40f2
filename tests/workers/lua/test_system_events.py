"""The keys that the server keeps, and the ballot."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import msgpack
import pytest

from tests.helpers.engine import Client, Engine, error_of
from tests.helpers.raw import request

VOTE, WATCH, UNWATCH, WATCH_ONCE = 68, 74, 75, 77
BALLOT, EVENT_KEY, EVENT_DATA = 0x29, 0x57, 0x58
UUID_EXT = 2


def instance(client: Client) -> uuid.UUID:
    return uuid.UUID(bytes=bytes(client.engine.segment.header.instance))


def ballot(client: Client) -> dict[int, object]:
    return {
        1: False,
        2: {},
        3: {},
        4: False,
        5: False,
        6: True,
        7: False,
        8: str(uuid.UUID(int=0)),
        9: [str(instance(client))],
        10: "bee",
    }


def test_vote(client: Client) -> None:
    for body in (None, {}, {1: 2}):
        assert client.request(VOTE, body).body == {BALLOT: ballot(client)}


def test_values(client: Client) -> None:
    own = msgpack.ExtType(UUID_EXT, instance(client).bytes)
    for key, value in {
        "box.id": {
            "id": 1,
            "instance_uuid": own,
            "instance_name": "bee",
            "replicaset_uuid": own,
            "replicaset_name": None,
            "cluster_name": None,
        },
        "box.status": {
            "is_ro": False,
            "is_ro_cfg": False,
            "status": "running",
            "dd_version": "2.11.0",
        },
        "box.election": {"term": 1, "role": "follower", "is_ro": False, "leader": 0},
        "box.schema": {"version": client.request(64).schema_version},
        "box.wal_error": {},
        "internal.ballot": {BALLOT: ballot(client)},
    }.items():
        assert client.request(WATCH_ONCE, {EVENT_KEY: key}).data == [value]
        (event,) = client.exchange(request({0: WATCH, 1: 9}, {EVENT_KEY: key}))
        assert (event.header, event.body) == ({0: 76, 1: 9}, {EVENT_KEY: key, EVENT_DATA: value})
        assert client.eval("return type(box.watch_once(...))", key).data == ["table"]


def test_no_shutdown_before_the_stop(client: Client) -> None:
    assert client.request(WATCH_ONCE, {EVENT_KEY: "box.shutdown"}).data == []
    (event,) = client.exchange(request({0: WATCH, 1: 9}, {EVENT_KEY: "box.shutdown"}))
    assert event.body == {EVENT_KEY: "box.shutdown"}


@pytest.mark.parametrize("key", ["box.id", "box.shutdown", "box.", "box.anything"])
def test_nobody_else_sets_them(client: Client, key: str) -> None:
    text = "System event can't be override"
    assert error_of(client.eval("box.broadcast(...)", key, 1)) == (32, text)


def test_the_number_of_waiting_messages(engine: Engine) -> None:
    key = "box.session.inbox"

    def told(client: Client) -> object:
        engine.turn()
        client.read()
        (event,) = client.packets()
        assert (event.header, event.body[EVENT_KEY]) == ({0: 76, 1: 3}, key)
        client.send(request({0: WATCH, 1: 3}, {EVENT_KEY: key}))
        return event.body[EVENT_DATA]

    with engine.connect() as one, engine.connect() as two:
        for client in (one, two):
            client.send(request({0: WATCH, 1: 3}, {EVENT_KEY: key}))
            assert told(client) == 0
        for number in (1, 2, 3):
            assert two.eval("return box.session.push_to(...)", one.id, "hello").data == [True]
            assert told(one) == number
        assert one.request(WATCH_ONCE, {EVENT_KEY: key}).data == [3]
        assert two.request(WATCH_ONCE, {EVENT_KEY: key}).data == [0]
        one.send(request({0: 10, 1: 7}, {0x22: "box.session.receive", 0x21: [0, 2]}))
        engine.turn()
        one.read()
        answer, event = sorted(one.packets(), key=lambda packet: packet.type)
        assert answer.data == [["hello", "hello"]]
        assert (event.type, event.body[EVENT_DATA]) == (76, 1)
        assert two.packets() == []


# The stop ----------------------------------------------------------------------------------------

BEGIN = """
local stopping = require('beespace.engine.stopping')
stopping.timeout, finished = 60, false
stopping.finish = function() finished = true end
stopping.begin()
"""


@pytest.fixture
def ending() -> Iterator[Engine]:
    """An engine of its own: it is asked to stop."""
    with Engine() as made:
        yield made


def finished(engine: Engine) -> bool:
    engine.turn()
    return engine.execute("return finished") is True


def shutdown_event(client: Client) -> dict[int, object]:
    (event,) = client.packets()
    assert event.header == {0: 76, 1: 3}
    return dict(event.body)


def test_who_watches_the_shutdown_is_told_and_holds_it_up(ending: Engine) -> None:
    key = "box.shutdown"
    with ending.connect() as watching, ending.connect() as leaving, ending.connect() as other:
        for each in (watching, leaving):
            each.send(request({0: WATCH, 1: 3}, {EVENT_KEY: key}) * 2)
            assert shutdown_event(each) == {EVENT_KEY: key}
            each.send(request({0: WATCH, 1: 3}, {EVENT_KEY: key}))
        ending.execute(BEGIN)
        for each in (watching, leaving):
            ending.run_until(each.take)
            assert shutdown_event(each) == {EVENT_KEY: key, EVENT_DATA: True}
        assert other.request(WATCH_ONCE, {EVENT_KEY: key}).data == [True]
        assert other.in_step()
        leaving.send(request({0: UNWATCH, 1: 3}, {EVENT_KEY: key}))
        assert not finished(ending)
        watching.close()
        ending.run_until(lambda: finished(ending))


def test_without_watchers_nothing_is_held_up(ending: Engine) -> None:
    with ending.connect() as client:
        client.send(request({0: WATCH, 1: 3}, {EVENT_KEY: "box.id"}))
        ending.execute(BEGIN)
        ending.run_until(lambda: finished(ending))
