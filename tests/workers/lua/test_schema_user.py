"""box.schema.user beside what test_schema_facts compares with Tarantool."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import pytest

from shm.catalog.passwords import Rules
from tests.helpers import users
from tests.helpers.engine import Client, Engine, error_of
from tests.helpers.users import ADMIN, give, login

NUMBER = "return require('beespace.engine.catalog').by_name[...].id"


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with Engine(open_to_guests=False) as made:
        yield made


@pytest.fixture
def admin(client: Client) -> Iterator[Client]:
    give(client, ADMIN)
    yield client
    client.engine.catalog._rules = Rules()
    for kind in ("user", "role"):
        source = f"""
            for id, each in pairs(require('beespace.engine.catalog').principals) do
              if id > 31 and each.kind == '{kind}' then box.schema.{kind}.drop(id) end
            end
        """
        assert error_of(client.eval(source)) == (0, "")


def user(client: Client, call: str, *arguments: object) -> object:
    """A call of box.schema.user: its results, or code and text of its error."""
    answer = client.call("box.schema.user." + call, *arguments)
    return error_of(answer) if answer.is_error else answer.data


def test_a_user_logs_in_with_its_password(admin: Client) -> None:
    assert user(admin, "create", "bob", {"password": "secret"}) == []
    with admin.engine.connect() as bob:
        assert login(bob, "bob", "wrong").code == 47
        assert login(bob, "bob", "secret").code == 0
        assert user(admin, "passwd", "bob", "other") == []
    with admin.engine.connect() as bob:
        assert login(bob, "bob", "secret").code == 47
        assert login(bob, "bob", "other").code == 0


def test_a_user_without_a_password_does_not_log_in(admin: Client) -> None:
    user(admin, "create", "bob")
    with admin.engine.connect() as bob:
        assert login(bob, "bob", "").code == 47
    user(admin, "passwd", "bob", "")
    with admin.engine.connect() as bob:
        assert login(bob, "bob", "").code == 0


def test_a_hash_is_that_of_the_catalog(admin: Client) -> None:
    expected = base64.b64encode(users.stored("pässword\0") or b"").decode()
    assert user(admin, "password", "pässword\0") == [expected]


def test_ones_own_password_needs_no_rights(admin: Client) -> None:
    user(admin, "create", "bob", {"password": "secret"})
    user(admin, "grant", "bob", "execute", "universe")
    with admin.engine.connect() as bob:
        login(bob, "bob", "secret")
        assert user(bob, "passwd", "mine") == []
        assert bob.eval("return box.session.user()").data == ["bob"]
        assert bob.exists
    with admin.engine.connect() as bob:
        assert login(bob, "bob", "mine").code == 0


def test_ones_own_password_is_that_of_the_session(admin: Client) -> None:
    user(admin, "create", "bob", {"password": "secret"})
    assert admin.eval("box.session.su('bob', box.schema.user.passwd, 'x')").data == []
    with admin.engine.connect() as client:
        assert login(client, "bob", "secret").code == 0
        assert login(client, "admin", "x").code == 0


def test_guest_has_no_password(admin: Client) -> None:
    user(admin, "grant", "guest", "execute", "universe")
    with admin.engine.connect() as guest:
        text = "Setting password for guest user has no effect"
        assert user(guest, "passwd", "x") == (96, text)
    user(admin, "revoke", "guest", "execute", "universe")


@pytest.mark.parametrize(
    "call", [("create", "eve", {"password": "x"}), ("passwd", "x"), ("passwd", "bob", "x")]
)
def test_bad_passwords_are_refused(admin: Client, call: tuple[object, ...]) -> None:
    user(admin, "create", "bob")
    admin.engine.catalog._rules = Rules(min_length=4)
    text = "Password doesn't meet security requirements: "
    text += "password should be at least 4 characters long"
    assert user(admin, *call) == (252, text)  # type: ignore[arg-type]
    assert user(admin, "exists", "eve") == [False]
    assert user(admin, "passwd", "bob", "long enough") == []


def test_ids_are_not_used_again(admin: Client) -> None:
    user(admin, "create", "one")
    first = users.number(admin.engine, "one")
    user(admin, "drop", "one")
    user(admin, "create", "two")
    assert users.number(admin.engine, "two") > first
    assert user(admin, "exists", first) == [False]


def test_there_may_be_many(admin: Client) -> None:
    source = "for i = 1, 100 do box.schema.user.create('u' .. i) end"
    assert error_of(admin.eval(source)) == (0, "")
    assert user(admin, "exists", "u100") == [True]


@pytest.mark.parametrize(
    ("grant", "told"),
    [
        (("execute", "lua_call", "box.info"), ["execute", "lua_call", "box.info"]),
        (("execute", "lua_call"), ["execute", "lua_call", ""]),
        (("execute", "lua_eval"), ["execute", "lua_eval", ""]),
        (("execute,usage", "sql"), ["execute,usage", "sql", ""]),
        (("read,write", "session"), ["read,write", "session", ""]),
        (("write", "session", ""), ["write", "session", ""]),
        (("read", "space", "_func_index"), ["read", "space", "_func_index"]),
        (("read", "space", 281), ["read", "space", "_vspace"]),
        (("Grant+METAGRANT", "universe"), ["session,usage,grant,metagrant", "universe", ""]),
        (("alter", "user"), ["alter", "user", ""]),
        (("create", "function"), ["create", "function", ""]),
    ],
)
def test_grants_are_told_and_revoked(
    admin: Client, grant: tuple[object, ...], told: list[str]
) -> None:
    user(admin, "create", "bob")
    before = user(admin, "info", "bob")
    assert user(admin, "grant", "bob", *grant) == []
    assert told in user(admin, "info", "bob")[0]  # type: ignore[index]
    assert user(admin, "grant", "bob", *grant)[0] == 89  # type: ignore[index]
    assert user(admin, "revoke", "bob", *grant) == []
    assert user(admin, "info", "bob") == before
    assert user(admin, "revoke", "bob", *grant)[0] == 91  # type: ignore[index]


@pytest.mark.parametrize(
    ("grant", "error"),
    [
        (("read", "lua_call", "f"), (98, "Unsupported lua_call privilege 'read'")),
        (("session", "lua_eval"), (98, "Unsupported lua_eval privilege 'session'")),
        (("write", "sql"), (98, "Unsupported sql privilege 'write'")),
        (("execute", "sql", "x"), (1, "'sql' has no objects with names")),
        (("execute", "lua_eval", "x"), (1, "'lua_eval' has no objects with names")),
        (("write", "session", 7), (1, "'session' has no objects with names")),
        (("execute", "session"), (98, "Unsupported session privilege 'execute'")),
        ((0, "universe"), (98, "Unsupported universe privilege '0'")),
        ((1.5, "universe"), (98, "Unsupported universe privilege '1.5'")),
        ((1 << 40, "universe"), (98, "Unsupported universe privilege '1099511627776'")),
        ((-1, "universe"), (98, "Unsupported universe privilege '-1'")),
        ((2, "role", "super"), (98, "Unsupported role privilege '2'")),
        (("read", "space", 99999), (36, "Space '99999' does not exist")),
        (("read", "space", -1), (36, "Space '-1' does not exist")),
    ],
)
def test_what_cannot_be_granted(
    admin: Client, grant: tuple[object, ...], error: tuple[int, str]
) -> None:
    user(admin, "create", "bob")
    assert user(admin, "grant", "bob", *grant) == error


def test_all_objects_of_a_type_are_granted_by_admin_only(admin: Client) -> None:
    user(admin, "create", "bob", {"password": "secret"})
    user(admin, "create", "eve")
    user(admin, "grant", "bob", "read,write,execute,create,drop,alter", "universe")
    with admin.engine.connect() as bob:
        login(bob, "bob", "secret")
        text = "Grant access to function '' is denied for user 'bob'"
        assert user(bob, "grant", "eve", "execute", "function") == (42, text)
        text = "Grant access to lua_call 'f' is denied for user 'bob'"
        assert user(bob, "grant", "eve", "execute", "lua_call", "f") == (42, text)


def test_a_right_acts_from_the_next_request_on(admin: Client) -> None:
    user(admin, "create", "bob", {"password": "secret"})
    with admin.engine.connect() as bob:
        login(bob, "bob", "secret")
        text = "Execute access to universe '' is denied for user 'bob'"
        assert error_of(bob.eval("return 1")) == (42, text)
        user(admin, "grant", "bob", "execute", "lua_eval")
        assert bob.eval("return 1").data == [1]
        user(admin, "revoke", "bob", "execute", "lua_eval")
        assert error_of(bob.eval("return 1")) == (42, text)


def test_a_name_is_not_a_number(admin: Client) -> None:
    assert user(admin, "create", "32") == []
    number = users.number(admin.engine, "32")
    assert user(admin, "exists", "32") == [True]
    assert user(admin, "exists", number) == [True]
    assert user(admin, "exists", str(number)) == [str(number) == "32"]


@pytest.mark.parametrize("name", ["Zoë", "a b", "a'b", "日本", "x" * 65000])
def test_names(admin: Client, name: str) -> None:
    assert user(admin, "create", name, {"password": "x"}) == []
    assert user(admin, "grant", name, "super") == []
    assert user(admin, "grant", name, "super") == (90, f"User '{name}' already has role 'super'")
    assert user(admin, "drop", name) == []
