"""Users and roles: built-in ones, made, dropped, named, given passwords."""

from __future__ import annotations

import pytest

from shm.catalog.objects import ALL_BITS
from shm.catalog.passwords import digest
from tests.shm.catalog.conftest import Catalog

BROKEN = b"\xff".decode("utf-8", "surrogateescape")


def test_built_in_users_and_roles(catalog: Catalog) -> None:
    found = {row["id"]: (name, row["kind"]) for name, row in catalog.principals().items()}

    assert found == {
        0: ("guest", "user"),
        1: ("admin", "user"),
        2: ("public", "role"),
        3: ("replication", "role"),
        31: ("super", "role"),
    }
    assert catalog.principals()["guest"]["hash"] == digest(b"")
    assert catalog.principals()["admin"]["hash"] is None


def test_built_in_rights(catalog: Catalog) -> None:
    assert catalog.rights("guest") == {("role", 2): 4, ("universe", 0): 24}
    assert catalog.rights("admin") == {("universe", 0): ALL_BITS}
    assert catalog.rights("super") == {("universe", 0): ALL_BITS}
    assert catalog.rights("replication") == {("universe", 0): 1, ("space", 320): 2}
    reads = {("space", number): 1 for number in (277, 281, 286, 289, 297, 305, 313, 341)}
    assert catalog.rights("public") == {
        **reads,
        ("space", 276): 2,
        ("space", 330): 2,
        ("space", 380): 3,
    }


def test_a_new_user(catalog: Catalog) -> None:
    boss = catalog.user("boss")
    number = catalog.do("create_principal", boss, "user", "kid", digest(b"secret"))

    kid = catalog.principals()["kid"]
    assert (boss, number, kid["id"], kid["owner"], kid["serial"]) == (32, 33, 33, 32, 0)
    assert kid["hash"] == digest(b"secret")
    assert catalog.rights("kid") == {("role", 2): 4, ("universe", 0): 24, ("user", 33): 128}
    assert catalog.grantor("kid", "role", 2) == boss
    assert catalog.grantor("kid", "universe", 0) == 1
    assert catalog.grantor("kid", "user", 33) == boss


def test_a_new_role_has_no_rights(catalog: Catalog) -> None:
    assert catalog.role("r") == 32
    assert catalog.rights("r") == {}


@pytest.mark.parametrize(
    ("kind", "name", "error"),
    [
        ("user", "admin", "USER_EXISTS"),
        ("user", "public", "USER_EXISTS"),
        ("role", "public", "ROLE_EXISTS"),
        ("role", "admin", "ROLE_EXISTS"),
    ],
)
def test_users_and_roles_share_their_names(
    catalog: Catalog, kind: str, name: str, error: str
) -> None:
    assert catalog.refused("create_principal", 1, kind, name) == (error, name)
    assert catalog.do("create_principal", 1, kind, name, None, True) is None


@pytest.mark.parametrize("name", ["a b", "жук", "x\u00ady", "x\u00a0y", "a" * 65000, "é" * 32500])
def test_good_names(catalog: Catalog, name: str) -> None:
    catalog.user(name)

    assert catalog.principals()[name]["id"] == 32


@pytest.mark.parametrize(
    "name", ["", "a\1", "a\nb", "a\0b", "\x7f", "\u2028", "\u2029", "\ufffd", "\u0378", BROKEN]
)
@pytest.mark.parametrize("kind", ["user", "role"])
def test_bad_names(catalog: Catalog, kind: str, name: str) -> None:
    assert catalog.refused("create_principal", 1, kind, name) == ("IDENTIFIER", name)


@pytest.mark.parametrize("kind", ["user", "role"])
def test_names_that_are_too_long(catalog: Catalog, kind: str) -> None:
    expected = ("CREATE_USER", "a" * 64, "user name is too long")
    assert catalog.refused("create_principal", 1, kind, "a" * 65001) == expected
    wide = catalog.refused("create_principal", 1, kind, "a" + "é" * 32500)
    assert wide == ("CREATE_USER", "a" + "é" * 31, "user name is too long")


def test_ids_are_never_used_again(catalog: Catalog) -> None:
    catalog.user("a")
    assert catalog.do("drop_principal", "user", "a") == 32
    assert catalog.user("a") == 33
    assert catalog.do("drop_principal", "user", 33) == 33
    assert catalog.role("a") == 34


def test_a_refused_creation_takes_no_id(catalog: Catalog) -> None:
    catalog.refused("create_principal", 1, "user", "")
    assert catalog.user("a") == 32


def test_a_caller_that_is_gone_makes_nothing(catalog: Catalog) -> None:
    missing = ("NO_SUCH_USER", "77")
    assert catalog.refused("create_principal", 77, "user", "a") == missing
    assert catalog.refused("create_function", 77, "f", {}) == missing
    grant = ("grant", 77, "user", "guest", 4, "execute", "universe", 0, "")
    assert catalog.refused(*grant) == missing


@pytest.mark.parametrize(
    ("kind", "named"),
    [
        *[("user", named) for named in ("guest", "admin", 0, 1)],
        *[("role", named) for named in ("public", "replication", "super", 2, 3, 31)],
    ],
)
def test_built_in_ones_stay(catalog: Catalog, kind: str, named: str | int) -> None:
    expected = ("DROP_USER", str(named), "the user or the role is a system")
    assert catalog.refused("drop_principal", kind, named, True) == expected


def test_a_user_in_use_stays(catalog: Catalog) -> None:
    number = catalog.user("a")
    expected = ("DROP_USER", "a", "the user is active in the current session")
    assert catalog.refused("drop_principal", "user", "a", False, [5, number]) == expected
    assert catalog.do("drop_principal", "user", "a", False, [5]) == number


@pytest.mark.parametrize("named", ["x", 55, "public", 2, "32", "1", "\udcff"])
def test_dropping_what_is_no_user(catalog: Catalog, named: str | int) -> None:
    assert catalog.refused("drop_principal", "user", named) == ("NO_SUCH_USER", str(named))
    assert catalog.do("drop_principal", "user", named, True) is None


def test_dropping_what_is_no_role(catalog: Catalog) -> None:
    assert catalog.refused("drop_principal", "role", "admin") == ("NO_SUCH_ROLE", "admin")


def test_a_drop_takes_everything_along(catalog: Catalog) -> None:
    boss, other = catalog.user("boss"), catalog.user("other")
    kid = catalog.do("create_principal", boss, "user", "kid")
    function = catalog.function("f", boss)
    catalog.do("grant", 1, "user", "other", 4, "execute", "function", "f", "f")
    catalog.do("grant", 1, "user", "other", 128, "alter", "user", "boss", "boss")
    catalog.do("grant", boss, "user", "other", 4, "execute", "lua_call", "g", "g")
    assert ("function", function) in catalog.rights("other")

    catalog.do("drop_principal", "user", "boss")

    assert catalog.functions() == {}
    assert set(catalog.rights("other")) == {
        *(("lua_call", "g"), ("role", 2), ("universe", 0), ("user", other)),
    }
    assert catalog.grantor("other", "lua_call", "g") == 1
    assert catalog.principals()["kid"]["owner"] == 1
    assert set(catalog.rights("kid")) == {("role", 2), ("universe", 0), ("user", kid)}


def test_a_dropped_role_is_taken_from_everybody(catalog: Catalog) -> None:
    number = catalog.role("r")
    catalog.role("outer")
    catalog.user("u")
    catalog.do("grant_role", 1, "user", "u", "r")
    catalog.do("grant_role", 1, "role", "outer", "r")
    assert catalog.rights("outer") == {("role", number): 4}

    catalog.do("drop_principal", "role", "r")

    assert catalog.rights("outer") == {}
    assert ("role", number) not in catalog.rights("u")


def test_passwords(catalog: Catalog) -> None:
    number = catalog.user("u")
    for serial, password in enumerate((b"one", b"two", b"two", None), 1):
        kept = None if password is None else digest(password)
        assert catalog.do("set_password", number, kept) is None
        found = catalog.principals()["u"]
        assert (found["hash"], found["serial"]) == (kept, serial)
        assert found["modified"] > 1_700_000_000


def test_passwords_that_cannot_be_set(catalog: Catalog) -> None:
    assert catalog.refused("set_password", 0, digest(b"x")) == ("GUEST_USER_PASSWORD",)
    assert catalog.refused("set_password", 2, digest(b"x")) == ("NO_SUCH_USER", "2")
    assert catalog.refused("set_password", 77, digest(b"x")) == ("NO_SUCH_USER", "77")
