"""Which sessions fit a filter: every key, lists, opposites, and several keys at once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from shm import layout
from shm.states import SessionType, SlotState
from tests.helpers import users
from tests.helpers.engine import SALT, Engine

A, B, C, D = "abcd"


class Crowd(NamedTuple):
    """An engine, and the letters of its sessions by id."""

    engine: Engine
    letters: dict[int, str]


@pytest.fixture(scope="module")
def crowd() -> Iterator[Crowd]:
    with Engine() as engine:
        bob = users.add(engine, "bob")
        engine.segment.rows[1].number, engine.segment.rows[2].number = 1, 0
        engine.segment.header.workers = 3
        engine.segment.header.listeners = 2
        at, size = layout.Header.listener_names.offset, layout.LISTENER_BYTES
        engine.segment.memory[at : at + size + 6] = b"first".ljust(size, b"\0") + b"second"
        now, clock = time.time(), time.monotonic()
        letters = {}

        def add(letter: str, peer: bytes, row: int, listener: int, **fields: Any) -> None:
            kind = SessionType.CONSOLE if letter == D else SessionType.BINARY
            number = engine.table.claim(peer, row, SALT, listener, kind)
            assert number is not None
            slot = engine.slot(number)
            for name, value in fields.items():
                setattr(slot, name, value)
            letters[number] = letter

        live = int(SlotState.LIVE)
        add(A, b"10.0.0.1:1", 0, 0, state=live, uid=0, connected=now - 50, last_request=clock - 5)
        add(B, b"10.0.0.2:1", 1, 1, state=live, uid=bob, connected=now - 500, in_flight=3)
        add(C, b"[::1]:80", 2, 0, uid=bob, connected=now - 5, text=b"bee", name_len=3)
        closing = int(SlotState.CLOSING)
        add(D, b"unix/:(socket)", 0, layout.ADOPTED, state=closing, uid=1, connected=now - 5000)
        yield Crowd(engine, letters)


CASES = [
    ("", "abcd"),
    ("user = 'guest'", "a"),
    ("user = 'bob'", "bc"),
    ("user = {'bob', 'admin', 'nobody'}", "bcd"),
    ("user = 'nobody'", ""),
    ("user = {}", ""),
    ("not_user = {}", "abcd"),
    ("not_user = 'bob'", "ad"),
    ("not_user = 'nobody'", "abcd"),
    ("uid = 1", "d"),
    ("uid = {0ULL, 1}", "ad"),
    ("not_uid = {0, 1}", "bc"),
    ("user = {'bob', 'guest'}, uid = 0", "a"),
    ("user = {'bob', 'guest'}, not_uid = 0", "bc"),
    ("user = 'bob', not_user = 'bob'", ""),
    ("peer = '10.0.0.1:1'", "a"),
    ("peer = '10.0.0.1'", "a"),
    ("peer = '10.0.0.0/24'", "ab"),
    ("peer = {'10.0.0.2', '::/0', 'unix/:(socket)'}", "bcd"),
    ("not_peer = {'10.0.0.2', '::1'}", "ad"),
    ("peer = '10.0.0.0/24', not_peer = '10.0.0.1'", "b"),
    ("peer = {}", ""),
    ("not_peer = {}", "abcd"),
    ("type = 'console'", "d"),
    ("type = {'console', 'binary'}", "abcd"),
    ("not_type = 'console'", "abc"),
    ("worker = 0", "acd"),
    ("worker = {1, 7}", "b"),
    ("not_worker = 0", "b"),
    ("listener = 'first'", "ac"),
    ("listener = 'new'", "d"),
    ("listener = {'second', 'new', 'third'}", "bd"),
    ("listener = ''", ""),
    ("not_listener = 'first'", "bd"),
    ("name = 'bee'", "c"),
    ("name = ''", "abd"),
    ("name = {'bee', 'be', 'bees'}", "c"),
    ("not_name = 'bee'", "abd"),
    ("state = 'claimed'", "c"),
    ("state = {'live', 'closing'}", "abd"),
    ("not_state = 'live'", "cd"),
    ("age_gt = 40", "abd"),
    ("not_age_gt = 400", "ac"),
    ("age_gt = 40, not_age_gt = 400", "a"),
    ("idle_gt = 40", "bd"),
    ("not_idle_gt = 40", "ac"),
    ("in_flight_gt = 2", "b"),
    ("in_flight_gt = 3", ""),
    ("not_in_flight_gt = 2", "acd"),
    ("user = 'bob', type = 'binary', worker = 1, age_gt = 1, peer = '10.0.0.0/8'", "b"),
]


@pytest.mark.parametrize(("keys", "expected"), CASES)
def test_every_key(crowd: Crowd, keys: str, expected: str) -> None:
    source = f"""
        local ids = {{}}
        for _, row in ipairs(box.session.list({{{keys}}})) do ids[#ids + 1] = row.id end
        return table.concat(ids, ' '), box.session.count({{{keys}}})"""
    ids, count = crowd.engine.execute(source)
    assert "".join(crowd.letters[int(number)] for number in ids.split()) == expected
    assert count == len(expected)


def test_ids(crowd: Crowd) -> None:
    engine, (a, b, c, d) = crowd
    count = "return box.session.count({%s})"
    assert engine.execute(count % f"id = {a}") == 1
    assert engine.execute(count % f"id = {{{a}, {a}, {c}, {d + 1}, 2^50}}") == 2
    assert engine.execute(count % f"id = {{{a}, {b}}}, user = 'bob'") == 1
    assert engine.execute(count % f"not_id = {{{a}, {b}, {d + 1}}}") == 2
    assert engine.execute(count % "id = {}") == 0
    source = f"return box.session.list({{id = {{{d}, {a}}}, order = '-id'}})[1].id"
    assert engine.execute(source) == d


def test_users_that_were_dropped_are_the_empty_name(crowd: Crowd) -> None:
    engine, (a, b, c, d) = crowd
    engine.slot(a).uid = 999
    count = "return box.session.count({%s})"
    assert engine.execute(count % "user = ''") == 1
    assert engine.execute(count % f"user = {{'', 'admin'}}, id = {{{a}, {d}}}") == 2
    assert engine.execute(count % "not_user = {'', 'bob'}") == 1
    assert engine.execute(count % f"not_user = 'bob', id = {{{a}, {b}, {c}}}") == 1
    engine.slot(a).uid = 0
