"""box.space beside what test_views_golden compares with Tarantool."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.helpers.engine import Client, Engine, error_of
from tests.helpers.raw import SELECT
from tests.helpers.users import ADMIN, GUEST, give

_LET_EVALUATE = """
local change = require('beespace.engine.catalog').change
change('grant', 1, 'user', 'guest', 4, 'execute', 'lua_eval', '', '')
"""


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with Engine(open_to_guests=False) as made:
        made.execute(_LET_EVALUATE)
        yield made


@pytest.fixture
def guest(client: Client) -> Client:
    give(client, GUEST)
    return client


@pytest.fixture
def admin(client: Client) -> Client:
    give(client, ADMIN)
    return client


def test_every_space_is_there_by_name_and_number(admin: Client) -> None:
    source = """
        local list = {}
        for _, row in box.space._vspace:pairs() do
          local space = box.space[row.id]
          assert(space == box.space[row.name] and space.engine == row.engine)
          assert(space.id == row.id and space.name == row.name)
          list[#list + 1] = row.id
        end
        return list
    """
    (ids,) = admin.eval(source).data
    assert ids == [row[0] for row in admin.request(SELECT, {0x10: 280, 0x12: 99, 0x20: []}).data]


def test_every_index_is_there(admin: Client) -> None:
    source = """
        local list = {}
        for _, row in box.space._index:pairs() do
          local index = box.space[row.id].index[row.iid]
          assert(index == box.space[row.id].index[row.name] and index.unique == row.opts.unique)
          for place, part in ipairs(row.parts) do
            assert(index.parts[place].fieldno == part[1] + 1 and index.parts[place].type == part[2])
          end
          list[#list + 1] = index.id
        end
        return #list
    """
    assert admin.eval(source).data[0] > 30


@pytest.mark.parametrize("call", ["select()", "get(1)", "count()", "len()", "pairs()", "get{}"])
def test_reading_needs_rights(guest: Client, call: str) -> None:
    text = "Read access to space '_user' is denied for user 'guest'"
    assert error_of(guest.eval(f"return box.space._user:{call}")) == (42, text)
    assert error_of(guest.eval("return box.space._user.index.owner:get(1)")) == (42, text)


@pytest.mark.parametrize("call", ["insert{1}", "replace{1}", "update(1, {})", "delete(1)"])
def test_changing_needs_rights(guest: Client, call: str) -> None:
    text = "Write access to space '_user' is denied for user 'guest'"
    assert error_of(guest.eval(f"return box.space._user:{call}")) == (42, text)


@pytest.mark.parametrize("call", ["insert{1}", "replace{1}", "update(1, {})", "delete(1)"])
def test_nobody_changes_the_catalog_here(admin: Client, call: str) -> None:
    text = "beespace does not support changes of space '_user'"
    assert error_of(admin.eval(f"return box.space._user:{call}")) == (5, text)


def test_length(admin: Client) -> None:
    assert admin.eval("return box.space._vuser:len() == #box.space._vuser:select()").data == [True]
    assert admin.eval("return box.space._vspace.index.name:len() > 10").data == [True]


@pytest.mark.parametrize(
    ("source", "code", "text"),
    [
        ("select({}, {limit = 'x'})", 1, "options parameter 'limit' should be of type number"),
        ("select({}, {offset = {}})", 1, "options parameter 'offset' should be of type number"),
        ("select({}, {iterator = {}})", 72, "Unknown iterator type"),
        ("select({}, {iterator = 'select'})", 72, "Unknown iterator type 'select'"),
        ("update(1, 5)", 1, "update operations must be a table"),
        ("format({})", 12, "Can't modify space '_vuser': it is a system space"),
        ("drop()", 15, "Can't drop the primary key in a system space, space '_vuser'"),
    ],
)
def test_errors(client: Client, source: str, code: int, text: str) -> None:
    answer = client.eval(f"return box.space._vuser:{source}")
    assert answer.code == code
    assert answer.text.startswith(text)


def test_rights_are_those_of_the_running_code(admin: Client) -> None:
    assert admin.eval("return box.space._vuser:count() > 4").data == [True]
    give(admin, GUEST)
    assert admin.eval("return box.space._vuser:count()").data == [2]
