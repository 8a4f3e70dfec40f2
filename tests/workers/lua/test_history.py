"""Records of ended sessions: written when the slot is freed, in rings, and read as a whole."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from shm import layout
from tests.helpers.engine import Client, Engine, error_of
from tests.helpers.requests import evaluation
from tests.helpers.users import give


@pytest.fixture
def engine() -> Iterator[Engine]:
    with Engine() as made:
        yield made


def history(engine: Engine, filter_: str = "") -> list[int]:
    """Ids in the order they are told."""
    source = f"""
        local ids = {{}}
        for _, row in ipairs(box.session.history({filter_})) do ids[#ids + 1] = row.id end
        return table.concat(ids, ' ')"""
    return [int(number) for number in engine.execute(source).split()]


def rows(client: Client, filter_: str = "") -> list[dict[str, Any]]:
    (found,) = client.eval(f"return box.session.history({filter_})").data
    return list(found)


def test_none_at_first(engine: Engine) -> None:
    assert history(engine) == []
    assert engine.row.buried == 0


def test_what_is_told(engine: Engine) -> None:
    with engine.connect(b"10.0.0.1:5") as client:
        client.eval("box.session.set_name('bee') box.session.set_attr('k', 'v')")
        client.slot.connected -= 100
        figures = (int(client.slot.bytes_in), int(client.slot.bytes_out))
    with engine.connect() as reader:
        (row,) = rows(reader)
    assert 0 <= time.time() - row["ended"] < 60
    assert row.pop("age") == pytest.approx(row.pop("ended") - row.pop("connected"))
    assert row == {
        "id": client.id, "type": "binary", "user": "guest", "uid": 0, "peer": "10.0.0.1:5",
        "worker": 0, "requests": 1, "bytes_in": figures[0], "bytes_out": figures[1],
        "name": "bee", "attrs": {"k": "v"}, "reason": "client",
    }  # fmt: skip


def test_a_session_is_in_it_once_its_slot_is_free(engine: Engine) -> None:
    engine.execute("gate = require('fiber').cond()")
    with engine.connect() as client:
        client.offer(evaluation(1, "gate:wait()"))
        engine.turn()
    assert client.exists
    assert history(engine) == []
    engine.execute("gate:broadcast()")
    engine.run_until(lambda: not client.exists)
    assert history(engine) == [client.id]


def test_the_newest_are_first_and_the_oldest_are_forgotten(engine: Engine) -> None:
    ids = []
    for _ in range(layout.HISTORY + 10):
        with engine.connect() as client:
            ids.append(client.id)
    assert engine.row.buried == layout.HISTORY + 10
    assert history(engine) == ids[:9:-1]
    assert history(engine, "{limit = 3}") == ids[:-4:-1]
    assert history(engine, "{limit = 2, order = 'id'}") == ids[10:12]


def test_every_ring_is_read(engine: Engine) -> None:
    """That of the worker, and the supervisor's behind it."""
    end = engine.segment.ends[layout.HISTORY]
    end.id, end.ended, end.type, end.reason, end.number = 77, time.time() + 50, 1, 7, 3
    with engine.connect() as client:
        pass
    assert history(engine) == [77, client.id]
    with engine.connect() as reader:
        assert rows(reader, "{worker = 3}")[0]["reason"] == "worker_died"


def test_a_record_that_is_being_written_is_left_out(engine: Engine) -> None:
    for _ in range(2):
        with engine.connect() as client:
            pass
    end = engine.segment.ends[1]
    assert end.id == client.id
    end.id = 0
    assert history(engine) == [client.id - 1]


@pytest.mark.parametrize(
    ("filter_", "expected"),
    [
        ("reason = 'client'", [2, 1]),
        ("reason = {'idle', 'killed'}", [3]),
        ("not_reason = 'client'", [3]),
        ("peer = '10.0.0.0/24'", [2]),
        ("not_peer = '10.0.0.2'", [3, 1]),
        ("id = {1, 3, 99}", [3, 1]),
        ("not_id = 1", [3, 2]),
        ("age_gt = 50", [2]),
        ("not_age_gt = 50", [3, 1]),
        ("worker = 0", [3, 2, 1]),
        ("worker = 1", []),
        ("not_worker = 0", []),
        ("user = 'guest', name = 'bee'", [1]),
        ("order = 'age'", [3, 1, 2]),
        ("order = '-age', limit = 1", [2]),
        ("order = 'name'", [2, 3, 1]),
    ],
)
def test_filters(engine: Engine, filter_: str, expected: list[int]) -> None:
    with engine.connect() as one:
        one.eval("box.session.set_name('bee')")
        one.slot.connected -= 10
    with engine.connect(b"10.0.0.2:1") as two:
        two.slot.connected -= 100
    with engine.connect() as three:
        three.slot.reason = 4
        three.slot.connected += 1
    assert history(engine, f"{{{filter_}}}") == expected


def test_what_is_refused(engine: Engine) -> None:
    with engine.connect() as client:
        code, text = error_of(client.eval("return box.session.history{state = 'live'}"))
        assert (code, text.partition(",")[0]) == (
            1, "box.session.history: unexpected key 'state'",
        )  # fmt: skip
        code, text = error_of(client.eval("return box.session.history{order = 'idle'}"))
        assert (code, text.partition(",")[0]) == (1, "box.session.history: order: got 'idle'")


def test_one_sees_those_of_ones_own_user(engine: Engine) -> None:
    users = []
    for uid in (1, 33, 33, 0):
        with engine.connect() as client:
            give(client, uid)
            users.append((client.id, uid))
    engine.execute(
        "local access = require('beespace.engine.access') "
        "access.has = function(uid) return uid == 1 end"
    )
    with engine.connect() as reader:
        give(reader, 1)
        assert [row["id"] for row in rows(reader)] == [number for number, _ in users[::-1]]
        give(reader, 0)
        assert [row["uid"] for row in rows(reader)] == [0]


def test_the_rehearsal_and_lost_sessions_leave_nothing(engine: Engine) -> None:
    assert engine.row.buried == 0
    engine.execute("require('beespace.engine.sessions').ended(5)")
    assert engine.row.buried == 0
