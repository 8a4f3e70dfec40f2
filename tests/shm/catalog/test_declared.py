"""What the settings declare: added, taken back, and nothing of what others did is touched."""

from __future__ import annotations

from typing import Any

import pytest

from shm.catalog import declared, snapshot
from shm.catalog.declared import Declared, DeclaredError
from shm.catalog.passwords import digest
from tests.shm.catalog.conftest import Catalog

ROLE = Declared("role", "reader", rights=((("space", ""), 1), (("lua_call", "f"), 4)))
USER = Declared(
    "user", "bob", ("reader",), ((("function", "g"), 4),), password_hash=digest(b"secret")
)


def apply(catalog: Catalog, *wanted: Declared) -> dict[str, Any]:
    """Names of what changed; a second time nothing may change."""
    changed = declared.apply(catalog.store, wanted)
    before = snapshot.load(catalog.store), catalog.store.changes
    assert not declared.apply(catalog.store, wanted)
    assert (snapshot.load(catalog.store), catalog.store.changes) == before
    return {name: found for name, found in vars(changed).items() if found}


def test_users_and_roles_are_made(catalog: Catalog) -> None:
    assert apply(catalog, ROLE, USER) == {
        "made": ["role reader", "user bob"],
        "passwords": ["bob"],
        "rights": ["reader", "bob"],
    }
    assert catalog.rights("reader") == {("space", ""): 1, ("lua_call", "f"): 4}
    assert catalog.rights("bob") == {
        ("role", 2): 4,
        ("universe", 0): 24,
        ("user", 33): 128,
        ("role", 32): 4,
    }
    bob = catalog.principals()["bob"]
    assert (bob["hash"], bob["serial"], bob["owner"]) == (digest(b"secret"), 1, 1)


def test_nothing_declared_changes_nothing(catalog: Catalog) -> None:
    catalog.user("u", digest(b"x"))
    catalog.do("grant_role", 1, "user", "u", "super")
    assert apply(catalog) == {}


def test_what_is_declared_no_more_is_taken_back(catalog: Catalog) -> None:
    apply(catalog, ROLE, USER)
    less = Declared("role", "reader", rights=((("space", ""), 1),))
    assert apply(catalog, less, Declared("user", "bob", password_hash=digest(b"other"))) == {
        "passwords": ["bob"],
        "rights": ["reader", "bob"],
    }
    assert catalog.rights("reader") == {("space", ""): 1}
    assert ("role", 32) not in catalog.rights("bob")
    assert apply(catalog) == {"passwords": ["bob"], "rights": ["reader"]}
    bob = catalog.principals()["bob"]
    assert (bob["hash"], bob["serial"]) == (None, 3)
    assert catalog.rights("reader") == {}


def test_what_others_gave_stays(catalog: Catalog) -> None:
    catalog.user("bob", digest(b"first"))
    number = catalog.role("reader")
    catalog.do("grant_role", 1, "user", "bob", "reader")
    catalog.do("grant", 1, "user", "bob", 1, "read", "space", "", "")
    apply(catalog, Declared("user", "bob", ("reader",), ((("space", ""), 3),), digest(b"second")))
    assert catalog.rights("bob")["space", ""] == 3
    catalog.do("set_password", catalog.principals()["bob"]["id"], digest(b"third"))

    apply(catalog)

    assert catalog.rights("bob")["space", ""] == 1
    assert catalog.rights("bob")["role", number] == 4
    assert catalog.principals()["bob"]["hash"] == digest(b"third")


def test_what_others_took_comes_back(catalog: Catalog) -> None:
    apply(catalog, ROLE, USER)
    catalog.do("revoke_role", "user", "bob", "reader")
    assert apply(catalog, ROLE, USER) == {"rights": ["bob"]}
    catalog.do("drop_principal", "user", "bob")
    made = apply(catalog, ROLE, USER)
    assert (made["made"], made["passwords"]) == (["user bob"], ["bob"])
    assert catalog.principals()["bob"]["id"] == 34
    assert catalog.principals()["bob"]["hash"] == digest(b"secret")


@pytest.mark.parametrize("own", [digest(b"own"), None])
def test_a_password_that_its_user_has_changed_stays(catalog: Catalog, own: bytes | None) -> None:
    apply(catalog, ROLE, USER)
    catalog.do("set_password", 33, own)
    assert apply(catalog, ROLE, USER) == {}
    assert catalog.principals()["bob"]["hash"] == own
    other = Declared("user", "bob", USER.roles, USER.rights, digest(b"other"))
    assert apply(catalog, ROLE, other) == {"passwords": ["bob"]}
    assert apply(catalog, ROLE, USER) == {"passwords": ["bob"]}
    assert catalog.principals()["bob"]["hash"] == digest(b"secret")


def test_a_password_that_the_user_had_already_is_the_settings_from_then_on(
    catalog: Catalog,
) -> None:
    catalog.user("bob", digest(b"secret"))
    assert "passwords" not in apply(catalog, ROLE, USER)
    assert apply(catalog)["passwords"] == ["bob"]


def test_rights_on_functions_wait_for_them(catalog: Catalog) -> None:
    apply(catalog, ROLE, USER)
    number = catalog.function("g")
    assert catalog.rights("bob")["function", number] == 4
    assert apply(catalog, ROLE, USER) == {}
    catalog.do("drop_function", "g")
    catalog.function("other")
    number = catalog.function("g")
    assert catalog.rights("bob")["function", number] == 4

    apply(catalog, ROLE, Declared("user", "bob"))

    assert ("function", number) not in catalog.rights("bob")
    catalog.do("drop_function", "g")
    assert ("function", catalog.function("g")) not in catalog.rights("bob")


def test_rights_on_all_functions(catalog: Catalog) -> None:
    apply(catalog, Declared("user", "bob", rights=((("function", ""), 4),)))
    assert catalog.rights("bob")["function", ""] == 4
    apply(catalog)
    assert ("function", "") not in catalog.rights("bob")


def test_built_in_users_and_roles(catalog: Catalog) -> None:
    before = catalog.rights("guest")
    guest = Declared("user", "guest", ("super", "public"), ((("universe", 0), 28),))
    admin = Declared("user", "admin", password_hash=digest(b"admin"))
    assert apply(catalog, guest, admin) == {"passwords": ["admin"], "rights": ["guest"]}
    assert catalog.rights("guest") == {**before, ("role", 31): 4, ("universe", 0): 28}
    apply(catalog)
    assert catalog.rights("guest") == before


@pytest.mark.parametrize(
    ("wanted", "error"),
    [
        ([Declared("user", "bob", ("nobody",))], ("bob", "NO_SUCH_ROLE", "nobody")),
        ([Declared("user", "public")], ("public", "USER_EXISTS", "public")),
        ([Declared("role", "x"), Declared("user", "x")], ("x", "USER_EXISTS", "x")),
        (
            [Declared("role", "a", ("b",)), Declared("role", "b", ("a",))],
            ("b", "ROLE_LOOP", "a", "b"),
        ),
        ([Declared("role", "a", ("a",))], ("a", "ROLE_LOOP", "a", "a")),
    ],
)
def test_what_cannot_be(catalog: Catalog, wanted: list[Declared], error: tuple[str, ...]) -> None:
    before = snapshot.load(catalog.store)
    with pytest.raises(DeclaredError) as caught:
        declared.apply(catalog.store, [Declared("user", "first"), *wanted])
    refusal = caught.value.refusal
    assert (caught.value.whose.name, refusal.code, *refusal.values) == error
    assert snapshot.load(catalog.store) == before


def test_a_hash_is_not_shown() -> None:
    assert "hash" not in repr(USER)
