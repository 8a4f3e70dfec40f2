"""box.schema.role beside what test_schema_facts compares with Tarantool."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.helpers import users
from tests.helpers.engine import Client, Engine, error_of
from tests.helpers.users import ADMIN, give, login

DENIED = (42, "Execute access to universe '' is denied for user 'bob'")


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with Engine(open_to_guests=False) as made:
        users.add(made, "bob", "secret")
        yield made


@pytest.fixture
def admin(client: Client) -> Client:
    give(client, ADMIN)
    return client


@pytest.fixture
def bob(engine: Engine) -> Iterator[Client]:
    with engine.connect() as client:
        login(client, "bob", "secret")
        yield client


def role(client: Client, call: str, *arguments: object) -> object:
    """A call of box.schema.role: its results, or code and text of its error."""
    answer = client.call("box.schema.role." + call, *arguments)
    return error_of(answer) if answer.is_error else answer.data


def test_rights_come_through_roles(admin: Client, bob: Client) -> None:
    for name in ("inner", "outer"):
        role(admin, "create", name)
    role(admin, "grant", "outer", "inner")
    admin.call("box.schema.user.grant", "bob", "outer")
    assert error_of(bob.eval("return 1")) == DENIED

    assert role(admin, "grant", "inner", "execute", "lua_eval") == []
    assert bob.eval("return 1").data == [1]
    assert role(admin, "revoke", "outer", "inner") == []
    assert error_of(bob.eval("return 1")) == DENIED
    assert role(admin, "grant", "outer", "inner") == []
    assert bob.eval("return 1").data == [1]
    assert role(admin, "drop", "inner") == []
    assert error_of(bob.eval("return 1")) == DENIED
    assert role(admin, "drop", "outer") == []


def test_a_role_with_super_may_everything(admin: Client, bob: Client) -> None:
    role(admin, "create", "chiefs")
    role(admin, "grant", "chiefs", "super")
    admin.call("box.schema.user.grant", "bob", "chiefs")

    assert role(bob, "create", "new") == []
    assert role(bob, "grant", "new", "read", "universe") == []
    assert role(bob, "drop", "new") == []
    assert role(bob, "drop", "chiefs") == []
    assert role(admin, "exists", "chiefs") == [False]


@pytest.mark.parametrize("name", ["public", "super", "replication"])
def test_built_in_roles_stay(admin: Client, name: str) -> None:
    text = f"Failed to drop user or role '{name}': the user or the role is a system"
    assert role(admin, "drop", name) == (44, text)


def test_a_long_chain_has_no_loop(admin: Client) -> None:
    for number in range(40):
        assert role(admin, "create", f"r{number}") == []
    for number in range(39):
        assert role(admin, "grant", f"r{number}", f"r{number + 1}") == []
    text = "Granting role 'r0' to role 'r39' would create a loop"
    assert role(admin, "grant", "r39", "r0") == (87, text)
    assert role(admin, "grant", "r39", "execute", "role", "r20")[0] == 87  # type: ignore[index]
    for number in range(40):
        assert role(admin, "drop", f"r{number}") == []


def test_users_of_a_role_keep_nothing_of_it(admin: Client) -> None:
    role(admin, "create", "clerks")
    admin.call("box.schema.user.grant", "bob", "clerks")
    before = admin.call("box.schema.user.info", "bob").data[0]
    assert ["execute", "role", "clerks"] in before
    role(admin, "drop", "clerks")
    role(admin, "create", "clerks")
    assert ["execute", "role", "clerks"] not in admin.call("box.schema.user.info", "bob").data[0]
    role(admin, "drop", "clerks")
