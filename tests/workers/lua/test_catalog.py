"""The catalog in Lua: what is read, when it is read anew, and changes made from here."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.helpers import users
from tests.helpers.engine import Engine, error_of

CATALOG = "local catalog = require('beespace.engine.catalog') "


@pytest.fixture
def closed() -> Iterator[Engine]:
    """An engine whose guests have no more rights than they are born with."""
    with Engine(warm=False, open_to_guests=False) as engine:
        yield engine


def test_what_every_server_has(closed: Engine) -> None:
    names = closed.execute(
        CATALOG
        + """
        local found = {}
        for id, each in pairs(catalog.principals) do
          assert(catalog.by_name[each.name] == each and each.id == id)
          found[#found + 1] = ('%d %s %s'):format(id, each.kind, each.name)
        end
        table.sort(found)
        return table.concat(found, ', ')"""
    )

    assert names == b"0 user guest, 1 user admin, 2 role public, 3 role replication, 31 role super"
    assert closed.execute(CATALOG + "return #catalog.by_name.guest.hash") == 20
    assert closed.execute(CATALOG + "return catalog.by_name.admin.hash") is None
    assert closed.execute(CATALOG + "return catalog.granted_to[0][1].object_type") == b"role"


def test_a_change_is_there_when_its_call_returns(closed: Engine) -> None:
    created = closed.execute(
        CATALOG
        + """
        local id = catalog.change('create_principal', 1, 'user', 'joe', nil, false)
        return id, catalog.by_name.joe.id, catalog.principals[id].hash, #catalog.granted_to[id]"""
    )

    assert created == (32, 32, None, 3)


def test_a_refused_change_raises_and_changes_nothing(closed: Engine) -> None:
    raised = closed.execute(
        CATALOG
        + """
        local before = catalog.principals
        local ok, e = pcall(catalog.change, 'create_principal', 1, 'user', 'guest', nil, false)
        return ok, e.code, e.message, catalog.principals == before"""
    )

    assert raised == (False, 46, b"User 'guest' already exists", True)


def test_it_is_read_anew_only_when_the_generation_has_moved(closed: Engine) -> None:
    count = """
        local loads = 0
        catalog.on_refresh(function() loads = loads + 1 end)
        local first, again = catalog.refresh(), catalog.refresh()
        catalog.change('create_principal', 1, 'user', 'ann', nil, false)
        return first, again, loads, catalog.refresh()"""

    assert closed.execute(CATALOG + count) == (False, False, 1, False)


def test_what_another_process_changed_is_seen(closed: Engine) -> None:
    closed.segment.renew_catalog()

    assert closed.execute(CATALOG + "return catalog.refresh()") is True
    assert closed.execute(CATALOG + "return catalog.refresh()") is False


def test_a_request_sees_a_change_made_behind_its_back(closed: Engine) -> None:
    with closed.connect() as client:
        assert error_of(client.eval("return 1")) == (
            42,
            "Execute access to universe '' is denied for user 'guest'",
        )
        closed.execute(
            CATALOG
            + "catalog.change('grant', 1, 'user', 'guest', 4, 'execute', 'universe', 0, '', false)"
        )
        assert client.eval("return 1").data == [1]


def test_names_of_dropped_users_are_kept_for_a_while(closed: Engine) -> None:
    closed.execute(CATALOG + "catalog.FORMER = 3")
    names = [f"bee{number}" for number in range(8)]
    uids = [users.add(closed, name) for name in names]
    for name in names:
        closed.execute(CATALOG + "catalog.refresh()")
        users.drop(closed, name)
    closed.execute(CATALOG + "catalog.refresh()")
    known = [closed.execute(CATALOG + "return catalog.former(...)", uid) for uid in uids]
    assert known == [None] * 3 + [name.encode() for name in names[3:]]
