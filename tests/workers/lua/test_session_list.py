"""box.session.list, count, info, listener: what a row has, and who sees which."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from shm import layout
from tests.helpers import users
from tests.helpers.engine import SALT, Client, Engine, error_of
from tests.helpers.users import give, login


@pytest.fixture(scope="module")
def bob(engine: Engine) -> int:
    """Number of a user who may evaluate everything."""
    number = users.add(engine, "bob", "secret")
    users.allow_everything(engine, "bob")
    return number


@pytest.fixture
def admin(engine: Engine) -> Iterator[Client]:
    with engine.connect(b"127.0.0.1:9") as made:
        give(made, users.ADMIN)
        yield made


def info(client: Client, *arguments: object) -> Any:
    (row,) = client.eval("return box.session.info(...)", *arguments).data
    return row


def test_a_row(client: Client, admin: Client) -> None:
    client.eval("box.session.storage.x = 1")
    bytes_in, bytes_out = int(client.slot.bytes_in), int(client.slot.bytes_out)
    row = info(admin, client.id)

    assert 0 <= row.pop("age") < 60
    assert 0 <= row.pop("idle") < 60
    assert abs(row.pop("connected") - time.time()) < 60
    assert row == {
        "id": client.id, "type": "binary", "user": "guest", "uid": 0, "peer": "127.0.0.1:4000",
        "worker": 0, "state": "live", "requests": 1, "in_flight": 0, "bytes_in": bytes_in,
        "bytes_out": bytes_out, "pending_out": 0, "inbox_bytes": 0, "attrs": {},
    }  # fmt: skip


def test_a_row_of_one_that_ends(client: Client, admin: Client) -> None:
    client.slot.reason, client.slot.text = 4, b"bee\x81\xa1k\xa1v"
    client.slot.name_len, client.slot.attrs_len = 3, 5
    client.slot.inbox_bytes, client.slot.pending_out, client.slot.in_flight = 5, 6, 7
    row = info(admin, client.id)
    assert (row["reason"], row["name"], row["attrs"]) == ("idle", "bee", {"k": "v"})
    assert (row["inbox_bytes"], row["pending_out"], row["in_flight"]) == (5, 6, 7)


def test_a_row_of_a_claimed_one(engine: Engine, admin: Client) -> None:
    number = engine.table.claim(b"", 0, SALT, layout.ADOPTED)
    row = info(admin, number)
    assert (row["state"], row["listener"], row.get("peer")) == ("claimed", "new", None)
    assert row["idle"] == row["age"]
    assert number is not None
    engine.table.release(number)


def test_idle_is_since_the_last_byte(client: Client, admin: Client) -> None:
    client.slot.connected -= 100
    assert info(admin, client.id)["idle"] >= 100
    client.slot.last_request = time.monotonic() - 50
    assert 50 <= info(admin, client.id)["idle"] < 60


def test_a_dropped_user_has_no_name(engine: Engine, client: Client, admin: Client) -> None:
    number = users.add(engine, "gone")
    give(client, number)
    assert info(admin, client.id)["user"] == "gone"
    users.drop(engine, "gone")
    row = info(admin, client.id)
    assert (row.get("user"), row["uid"]) == (None, number)


def test_lists_have_such_rows(client: Client, admin: Client) -> None:
    (rows,) = admin.eval("return box.session.list{id = ...}", client.id).data
    row = info(admin, client.id)
    assert len(rows) == 1
    assert rows[0].keys() == row.keys()
    assert rows[0]["id"] == client.id


def test_info_of_the_own_session_and_of_none(client: Client) -> None:
    assert info(client)["id"] == client.id
    assert client.eval("return box.session.info(0)").data == [None]
    assert client.eval("return box.session.info(2^50)").data == [None]
    source = "return box.session.info(), box.session.listener()"
    assert client.engine.execute(source) == (None, None)


@pytest.mark.parametrize("name", ["info", "listener"])
@pytest.mark.parametrize("value", ["nil", "-1", "1.5", "'1'", "{}"])
def test_what_is_no_id(client: Client, name: str, value: str) -> None:
    shown = {"nil": "null", "{}": "a table"}.get(value, value)
    answer = client.eval(f"return box.session.{name}({value})")
    assert error_of(answer) == (
        1, f"box.session.{name}: got {shown}, expected the id of a session",
    )  # fmt: skip


def test_listener(engine: Engine, client: Client) -> None:
    at, size = layout.Header.listener_names.offset, layout.LISTENER_BYTES
    engine.segment.memory[at : at + 2 * size] = b"one".ljust(size, b"\0") + b"two".ljust(
        size, b"\0"
    )
    engine.segment.header.listeners = 2
    source = "return box.session.listener(), box.session.listener(...), box.session.listener(0)"
    with engine.connect() as other:
        other.slot.listener = 1
        assert client.eval(source, other.id).data == ["one", "two", None]
        assert info(client)["listener"] == "one"
        other.slot.listener = layout.ADOPTED
        assert client.eval(source, other.id).data == ["one", "new", None]


# Who sees what -----------------------------------------------------------------------------------


def test_one_sees_the_sessions_of_ones_own_user(engine: Engine, client: Client, bob: int) -> None:
    with engine.connect() as own, engine.connect() as other:
        login(client, "bob", "secret")
        give(own, bob)
        assert client.eval("return box.session.count()").data == [2]
        (rows,) = client.eval("return box.session.list()").data
        assert [row["id"] for row in rows] == [client.id, own.id]
        assert client.eval("return box.session.count{user = 'guest'}").data == [0]
        assert client.eval("return box.session.count{not_user = 'nosuch'}").data == [2]
        assert client.eval("return box.session.count{id = ...}", [own.id, other.id]).data == [1]
        assert info(client, own.id)["id"] == own.id
        text = f"Read access to session '{other.id}' is denied for user 'bob'"
        answer = client.eval("return box.session.info(...)", other.id)
        assert error_of(answer) == (42, text)
        assert answer.stack[0][0] == "AccessDeniedError"


def test_admin_and_super_see_all(engine: Engine, client: Client, admin: Client) -> None:
    boss = users.add(engine, "boss")
    users.make_super(engine, "boss")
    users.allow_everything(engine, "boss")
    give(client, boss)
    count = "return box.session.count()"
    assert client.eval(count).data == admin.eval(count).data == [2]
    assert info(client, admin.id)["user"] == "admin"


def test_the_rights_that_apply_count(client: Client, admin: Client, bob: int) -> None:
    """Not whose session it is; but one's own session is seen in any case."""
    source = """
        local s = box.session
        return s.su('bob', function() return s.count(), s.info().id, s.count{user = 'bob'} end)"""
    assert admin.eval(source).data == [0, admin.id, 0]
    give(client, bob)
    source = "return box.session.count(), box.session.su('admin', box.session.count)"
    client.engine.execute("require('compat').session_su = 'old'")
    assert client.eval(source).data == [1, 2]
    client.engine.execute("require('compat').session_su = 'default'")


def test_background_code_sees_all(client: Client, admin: Client) -> None:
    assert client.engine.execute("return box.session.count()") == 2
