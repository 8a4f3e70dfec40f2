"""Lua and Python (shm/census.py) mean the same sessions by the same filter, in the same order."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from typing import Any

import pytest

from shm import history, layout
from shm.census import Census
from shm.filters import ENDED, FilterError, parse
from shm.states import EndReason, SessionType, SlotState
from tests.helpers import users
from tests.helpers.engine import SALT, Client, Engine
from tests.helpers.users import give

COUNT = 300
PEERS = [
    b"10.0.0.1:4000", b"10.0.0.1:4001", b"10.1.0.1:4000", b"127.0.0.1:1", b"[::1]:80",
    b"[2001:db8::1]:80", b"[2001:db8:8000::1]:80", b"[::ffff:10.0.0.1]:80", b"[fe80::1%eth0]:1",
    b"unix/:(socket)", b"unix/:/tmp/x", b"",
]  # fmt: skip
NAMES = [b"", b"bee", b"wasp"]

VALUES: dict[str, list[Any]] = {
    "id": [3, [1, 2, 3, 999], []],
    "user": ["guest", ["ada", "admin"], "nosuch", "", ["", "ada"], []],
    "uid": [0, [1, 32], 999],
    "peer": [
        "10.0.0.1", "10.0.0.1:4000", "10.0.0.0/8", "::/0", "0.0.0.0/0", "2001:db8::/33", "[::1]",
        "[::1]:80", "::ffff:10.0.0.1", "::ffff:0.0.0.0/96", "fe80::/10", "unix/:(socket)",
        ["127.0.0.1", "unix/:/tmp/x"], [],
    ],
    "type": ["binary", "console", ["binary", "console"]],
    "worker": [0, 1, [1, 7]],
    "listener": ["new", "nosuch"],
    "name": ["bee", "", ["bee", "wasp"]],
    "state": ["live", ["claimed", "closing"]],
    "age_gt": [0, 50, 1e9],
    "idle_gt": [0, 50],
    "in_flight_gt": [0, 2],
    "order": ["id", "-id", "requests", "-requests", "peer", "-user", "name", "-state", "worker"],
    "limit": [0, 1, 7, 1000],
}  # fmt: skip


@pytest.fixture(scope="module")
def crowd() -> Iterator[Engine]:
    with Engine(capacity=512) as engine:
        ada = users.add(engine, "ada")
        engine.segment.header.workers = 2
        engine.segment.rows[1].number = 1
        chance = random.Random(5)
        for _ in range(COUNT):
            number = engine.table.claim(
                chance.choice(PEERS), chance.randrange(2), SALT, chance.choice([0, 254]),
                chance.choice([SessionType.BINARY, SessionType.CONSOLE]),
            )  # fmt: skip
            assert number is not None
            slot, name = engine.slot(number), chance.choice(NAMES)
            slot.text, slot.name_len = name, len(name)
            slot.state = chance.choice([SlotState.CLAIMED, SlotState.LIVE, SlotState.CLOSING])
            slot.uid = chance.choice([0, 1, ada, 999])
            slot.requests, slot.in_flight = chance.randrange(5), chance.randrange(5)
            slot.connected -= chance.choice([0.5, 100])
            slot.last_request = chance.choice([0.0, time.monotonic() - 20])
        yield engine


@pytest.fixture
def admin(crowd: Engine) -> Iterator[Client]:
    with crowd.connect() as made:
        give(made, users.ADMIN)
        yield made


def filters(count: int, keys: dict[str, list[Any]]) -> Iterator[dict[str, Any]]:
    """Every value of every key, also negated, and mixtures of three."""
    for key, values in keys.items():
        for value in values:
            yield {key: value}
            if key not in ("order", "limit"):
                yield {f"not_{key}": value}
    chance = random.Random(9)
    for _ in range(count):
        chosen = chance.sample(sorted(keys), 3)
        yield {
            (f"not_{key}" if key not in ("order", "limit") and chance.random() < 0.3 else key):
            chance.choice(keys[key])
            for key in chosen
        }  # fmt: skip


def test_the_same_sessions_in_the_same_order(admin: Client) -> None:
    names = {0: "guest", 1: "admin", users.number(admin.engine, "ada"): "ada"}
    census = Census(admin.engine.segment, names)
    met = set()
    for given in filters(300, VALUES):
        (rows,) = admin.eval("return box.session.list(...)", given).data
        found = [row["id"] for row in rows]
        assert found == [row.id for row in census.sessions(parse(given))], given
        met.add(len(found))
    assert len(met) > 20


def test_the_same_of_the_history(crowd: Engine, admin: Client) -> None:
    chance = random.Random(3)
    crowd.segment.header.workers = 1
    for place in range(200):
        end = crowd.segment.ends[place + chance.choice([0, layout.HISTORY])]
        peer, name = chance.choice(PEERS), chance.choice(NAMES)
        end.peer, end.peer_len, end.text, end.name_len = peer, len(peer), name, len(name)
        end.ended = 1e9 + chance.randrange(20)
        end.connected = end.ended - chance.choice([0.5, 100])
        end.uid, end.number = chance.choice([0, 1, 999]), chance.randrange(2)
        end.type, end.listener = chance.choice([1, 2]), chance.choice([0, 254])
        end.reason, end.requests = chance.randrange(1, 12), chance.randrange(5)
        end.id = place + 1
    keys = {key: values for key, values in VALUES.items() if key in ENDED.conditions}
    keys["reason"] = [
        "idle",
        ["client", "killed"],
        [each.name.lower() for each in EndReason if each],
    ]
    keys["order"] = ["id", "-ended", "ended", "-age", "peer", "reason", "-user", "worker"]
    keys["limit"] = VALUES["limit"]
    for given in filters(200, keys):
        (rows,) = admin.eval("return box.session.history(...)", given).data
        expected = history.ended(crowd.segment, {0: "guest", 1: "admin"}, parse(given, ENDED))
        assert [row["id"] for row in rows] == [row.id for row in expected], given


@pytest.mark.parametrize(
    "given",
    [
        {"usr": 1}, {"id": 0}, {"id": "x"}, {"peer": "localhost"}, {"peer": "10.0.0.1/8"},
        {"peer": "::1/64"}, {"peer": "10.0.0.0/33"}, {"type": "x"}, {"state": "free"},
        {"idle_gt": -1}, {"idle_gt": [1]}, {"limit": -1}, {"order": "attrs"}, {"order": "ended"},
        {"after": 5, "order": "age"}, {"reason": "idle"}, {"not_limit": 5}, {"worker": 70000},
        {"user": 5}, {"name": True}, {"in_flight_gt": "x"},
    ],
)  # fmt: skip
def test_both_refuse(admin: Client, given: dict[str, Any]) -> None:
    assert admin.eval("return box.session.list(...)", given).code == 1
    with pytest.raises(FilterError):
        parse(given)
