"""Grants and revokes: masks, roles, loops, and every error with its values."""

from __future__ import annotations

from typing import Any

import pytest

from shm.catalog import privileges
from shm.catalog.objects import ALL_BITS
from tests.shm.catalog.conftest import Catalog

RIGHTS = {1: "read", 2: "write", 3: "read,write", 4: "execute", 8: "session", 16: "usage"}


def grant(mask: int, kind: str, key: Any = None, name: str | None = None, **more: Any) -> tuple:
    given = (more.get("whose", "user"), more.get("to", "u"), mask, RIGHTS.get(mask, "some"))
    return ("grant", more.get("who", 1), *given, kind, key, name, more.get("silent", False))


def revoke(mask: int, kind: str, key: Any = None, name: str | None = None, **more: Any) -> tuple:
    given = (more.get("whose", "user"), more.get("of", "u"), mask, RIGHTS.get(mask, "some"))
    return ("revoke", *given, kind, key, name, more.get("silent", False))


def test_only_new_bits_are_added(catalog: Catalog) -> None:
    number = catalog.user("u")
    assert catalog.do(*grant(1, "universe")) is True
    assert catalog.rights("u")["universe", 0] == 24 | 1
    assert catalog.do(*grant(3, "universe", who=number)) is True
    assert catalog.rights("u")["universe", 0] == 24 | 3
    assert catalog.grantor("u", "universe", 0) == number
    assert catalog.refused(*grant(3, "universe")) == (
        *("PRIV_GRANTED", "u", "read,write", "universe"),
    )
    assert catalog.do(*grant(3, "universe", silent=True)) is False
    assert catalog.grantor("u", "universe", 0) == number


@pytest.mark.parametrize(
    ("kind", "key", "name", "kept", "text"),
    [
        ("universe", 0, "", 0, "universe"),
        ("universe", None, "whatever", 0, "universe"),
        ("space", 281, "_vspace", 281, "space '_vspace'"),
        ("space", "", "", "", "space ''"),
        ("lua_call", "box.info", "box.info", "box.info", "lua_call 'box.info'"),
        ("lua_call", "281", "281", "281", "lua_call '281'"),
        ("lua_call", "\udcff", "\udcff", "\udcff", "lua_call '\udcff'"),
        ("lua_call", None, None, "", "lua_call ''"),
        ("lua_eval", None, None, "", "lua_eval ''"),
        ("function", None, "f", 1, "function 'f'"),
        ("function", "f", "f", 1, "function 'f'"),
        ("function", 1, "f", 1, "function 'f'"),
        ("function", None, None, "", "function ''"),
        ("user", None, "guest", 0, "user 'guest'"),
        ("user", "", "", "", "user ''"),
        ("role", None, None, "", "role ''"),
    ],
)
def test_objects(catalog: Catalog, kind: str, key: Any, name: str, kept: Any, text: str) -> None:
    catalog.user("u")
    catalog.function("f")
    before = catalog.rights("u").get((kind, kept), 0)

    assert catalog.do(*grant(4, kind, key, name)) is True

    assert catalog.rights("u")[kind, kept] == before | 4
    assert catalog.refused(*grant(4, kind, key, name)) == ("PRIV_GRANTED", "u", "execute", text)
    assert catalog.do(*revoke(4, kind, key, name)) is True
    assert catalog.rights("u").get((kind, kept), 0) == before
    missing = catalog.refused(*revoke(4, kind, key, name))
    assert missing[:4] == ("PRIV_NOT_GRANTED", "u", "execute", kind)
    assert catalog.do(*revoke(4, kind, key, name, silent=True)) is False


@pytest.mark.parametrize(
    ("kind", "name", "error"),
    [
        ("function", "g", ("NO_SUCH_FUNCTION", "g")),
        ("function", "1", ("NO_SUCH_FUNCTION", "1")),
        ("user", "g", ("NO_SUCH_USER", "g")),
        ("user", "public", ("NO_SUCH_USER", "public")),
        ("role", "g", ("NO_SUCH_ROLE", "g")),
        ("role", "admin", ("NO_SUCH_ROLE", "admin")),
    ],
)
def test_objects_that_are_not_there(
    catalog: Catalog, kind: str, name: str, error: tuple[str, ...]
) -> None:
    catalog.user("u")
    catalog.function("f")
    assert catalog.refused(*grant(4, kind, None, name, silent=True)) == error
    assert catalog.refused(*revoke(4, kind, None, name, silent=True)) == error


def test_grantees_that_are_not_there(catalog: Catalog) -> None:
    for action in (grant(1, "universe", to="x"), revoke(1, "universe", of="x")):
        assert catalog.refused(*action) == ("NO_SUCH_USER", "x")
    for action in (grant(1, "universe", to="public"), revoke(1, "universe", of="public")):
        assert catalog.refused(*action) == ("NO_SUCH_USER", "public")
    assert catalog.refused(*grant(1, "universe", to="admin", whose="role")) == (
        *("NO_SUCH_ROLE", "admin"),
    )


@pytest.mark.parametrize("mask", [8, 16, 17, 24])
def test_session_and_usage_are_for_users(catalog: Catalog, mask: int) -> None:
    assert catalog.refused(*grant(mask, "function", to="public", whose="role")) == (
        *("GRANT", "system privilege can not be granted to role"),
    )


def test_a_part_of_the_rights_is_taken(catalog: Catalog) -> None:
    catalog.user("u")
    catalog.do(*grant(3, "space", ""))
    assert catalog.do(*revoke(2 | 4, "space", "")) is True
    assert catalog.rights("u")["space", ""] == 1
    assert catalog.do(*revoke(3, "space", "")) is True
    assert ("space", "") not in catalog.rights("u")


def test_a_disabled_user(catalog: Catalog) -> None:
    catalog.user("u")
    assert catalog.do(*revoke(24, "universe")) is True
    assert ("universe", 0) not in catalog.rights("u")
    assert catalog.do(*grant(24, "universe", silent=True)) is True
    assert catalog.do(*grant(24, "universe", silent=True)) is False


def test_admin_and_super_keep_their_rights(catalog: Catalog) -> None:
    text = "the rights of 'admin' on universe can not be revoked"
    assert catalog.refused(*revoke(8, "universe", of="admin")) == ("GRANT", text)
    text = "the rights of 'super' on universe can not be revoked"
    assert catalog.refused(*revoke(1, "universe", of="super", whose="role")) == ("GRANT", text)
    assert catalog.rights("admin")["universe", 0] == ALL_BITS


def test_roles_for_users(catalog: Catalog) -> None:
    catalog.user("u")
    number = catalog.role("r")
    assert catalog.do("grant_role", 1, "user", "u", "r") is True
    assert catalog.rights("u")["role", number] == 4
    assert catalog.refused("grant_role", 1, "user", "u", "r") == ("ROLE_GRANTED", "u", "r")
    assert catalog.refused("grant_role", 1, "user", "u", number) == (
        *("ROLE_GRANTED", "u", str(number)),
    )
    assert catalog.refused(*grant(4, "role", None, "r")) == ("ROLE_GRANTED", "u", "r")
    assert catalog.do("grant_role", 1, "user", "u", "r", True) is False
    assert catalog.do("revoke_role", "user", "u", "r") is True
    assert catalog.refused("revoke_role", "user", "u", "r") == ("ROLE_NOT_GRANTED", "u", "r")
    assert catalog.do("revoke_role", "user", "u", "r", True) is False


def test_a_right_on_a_role_is_not_the_role(catalog: Catalog) -> None:
    catalog.user("u")
    number = catalog.role("r")
    assert catalog.do(*grant(16, "role", None, "r")) is True
    assert catalog.refused("revoke_role", "user", "u", "r") == (
        *("PRIV_NOT_GRANTED", "u", "execute", "role", "r"),
    )
    assert catalog.do("grant_role", 1, "user", "u", "r") is True
    assert catalog.rights("u")["role", number] == 20


def test_roles_that_are_not_there(catalog: Catalog) -> None:
    catalog.user("u")
    for role in ("x", "admin", 77):
        assert catalog.refused("grant_role", 1, "user", "u", role) == ("NO_SUCH_ROLE", str(role))
        assert catalog.refused("revoke_role", "user", "u", role) == ("NO_SUCH_ROLE", str(role))


def test_loops_of_roles(catalog: Catalog) -> None:
    for name in ("a", "b", "c"):
        catalog.role(name)
    catalog.do("grant_role", 1, "role", "a", "b")
    catalog.do("grant_role", 1, "role", "b", "c")

    for role, grantee in (("a", "c"), ("a", "b"), ("b", "c"), ("c", "c")):
        expected = ("ROLE_LOOP", role, grantee)
        assert catalog.refused("grant_role", 1, "role", grantee, role) == expected
        assert catalog.refused(*grant(4, "role", None, role, to=grantee, whose="role")) == expected
    assert catalog.do(*grant(64, "role", None, "a", to="c", whose="role")) is True
    assert catalog.do("grant_role", 1, "role", "a", "c") is True


@pytest.mark.parametrize(
    ("grants", "may"),
    [
        ([], False),
        ([("grant_role", 1, "user", "u", "super")], True),
        ([grant(4, "universe")], True),
        ([grant(4, "lua_eval")], True),
        ([grant(4, "lua_call")], False),
        ([grant(4, "lua_eval"), revoke(16, "universe")], False),
        ([grant(4, "universe"), revoke(16, "universe")], False),
        (
            [
                ("create_principal", 1, "role", "inner"),
                grant(4, "lua_eval", to="inner", whose="role"),
                ("grant_role", 1, "role", "public", "inner"),
            ],
            True,
        ),
    ],
)
def test_who_may_evaluate(catalog: Catalog, grants: list[tuple], may: bool) -> None:
    number = catalog.user("u")
    for each in grants:
        catalog.do(*each)
    with catalog.store.reading() as connection:
        assert privileges.may_evaluate(connection, number) is may
