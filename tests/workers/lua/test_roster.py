"""Lists of many sessions: order, limits, pages, and what ends meanwhile."""

from __future__ import annotations

import random
from collections.abc import Iterator
from operator import itemgetter

import pytest

from tests.helpers.engine import SALT, Client, Engine
from tests.helpers.raw import EVAL, PING, request

COUNT = 3000


@pytest.fixture(scope="module")
def full() -> Iterator[Engine]:
    """Sessions whose ids went round the table, with figures that repeat."""
    with Engine(capacity=4096) as engine:
        engine.segment.header.last_id = 10_000
        chance = random.Random(7)
        for _ in range(COUNT):
            number = engine.table.claim(b"10.0.0.1:1", 0, SALT)
            assert number is not None
            engine.slot(number).requests = chance.randrange(100)
        yield engine


@pytest.fixture
def client(full: Engine) -> Iterator[Client]:
    with full.connect() as made:
        yield made


def ids(engine: Engine, filter_: str) -> list[int]:
    source = f"""
        local ids = {{}}
        for _, row in ipairs(box.session.list({filter_})) do ids[#ids + 1] = row.id end
        return table.concat(ids, ' ')"""
    return [int(number) for number in engine.execute(source).split()]


def all_of(engine: Engine) -> dict[int, int]:
    """Requests of all sessions by id."""
    return {int(s.id): int(s.requests) for s in engine.segment.slots if s.id}


def test_by_id_unless_asked_otherwise(full: Engine) -> None:
    everything = sorted(all_of(full))
    assert len(everything) == COUNT
    assert ids(full, "") == everything
    assert ids(full, "{order = 'id'}") == everything
    assert ids(full, "{order = '-id'}") == everything[::-1]
    assert ids(full, "{limit = 0}") == []
    assert ids(full, "{limit = 7}") == everything[:7]
    assert ids(full, "{limit = 7, order = '-id'}") == everything[:-8:-1]


@pytest.mark.parametrize("down", [False, True])
@pytest.mark.parametrize("limit", [1, 50, COUNT])
def test_equal_ones_go_by_their_ids(full: Engine, limit: int, down: bool) -> None:
    by_id = sorted(all_of(full).items())
    wanted = sorted(by_id, key=itemgetter(1), reverse=down)
    order = "-requests" if down else "requests"
    found = ids(full, f"{{order = '{order}', limit = {limit}}}")
    assert found == [number for number, _ in wanted[:limit]]


@pytest.mark.parametrize("field", ["age", "idle", "peer", "user", "name", "type", "reason", "uid"])
def test_every_session_is_met_once_in_any_order(full: Engine, field: str) -> None:
    assert sorted(ids(full, f"{{order = '{field}'}}")) == sorted(all_of(full))


@pytest.mark.parametrize("order", ["id", "-id"])
def test_pages(full: Engine, order: str) -> None:
    met: list[int] = []
    last = 2**50 if order == "-id" else 0
    while page := ids(full, f"{{after = {last}, limit = 700, order = '{order}'}}"):
        assert len(page) == 700 or len(met) + len(page) == COUNT
        met += page
        last = page[-1]
    assert met == sorted(all_of(full), reverse=order == "-id")


def test_a_page_is_filled_up_for_those_that_end_while_it_is_made(full: Engine) -> None:
    everything = sorted(all_of(full))
    source = """
        local roster = require('beespace.engine.roster')
        local shared = require('beespace.engine.table')
        local plain, away = roster.ids, ...
        roster.ids = function(plan)
          local ids, more = plain(plan)
          roster.ids = plain
          for id in away:gmatch('%d+') do
            local slot = shared.slots[tonumber(id) % shared.capacity]
            slot.id, slot.state = 0, 0
          end
          return ids, more
        end
        local ids = {}
        for _, row in ipairs(box.session.list{limit = 5}) do ids[#ids + 1] = row.id end
        return table.concat(ids, ' ')"""
    found = full.execute(source, b"%d %d" % (everything[1], everything[4]))
    assert [int(number) for number in found.split()] == [
        everything[place] for place in (0, 2, 3, 5, 6)
    ]


def test_others_are_answered_while_a_list_is_made(full: Engine, client: Client) -> None:
    """The list takes many turns: each gives way at once."""
    full.execute("turns = require('beespace.engine.turns') plain = turns.begin")
    full.execute("turns.begin = function() local t = plain() t.due = 0 return t end")
    listing = request({0: EVAL, 1: 1}, {0x27: "return #box.session.list{order = 'peer'}", 0x21: []})
    answers = client.answers(listing + request({0: PING, 1: 2}), 2)
    full.execute("turns.begin = plain")
    assert [answer.sync for answer in answers] == [2, 1]
    assert answers[1].data == [len(all_of(full))]


def test_where_nothing_can_wait(client: Client) -> None:
    source = """
        local count
        local text = ('x'):gsub('x', function() count = box.session.count() return 'y' end)
        return count"""
    assert client.eval(source).data == [len(all_of(client.engine))]
