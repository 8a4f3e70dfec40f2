"""Functions: fields, defaults, names, ids, and the rights that go with them."""

from __future__ import annotations

from typing import Any

import pytest

from shm.catalog.functions import FIELDS
from tests.shm.catalog.conftest import Catalog


def test_defaults(catalog: Catalog) -> None:
    assert catalog.function("f") == 1
    found = catalog.functions()["f"]
    assert tuple(found) == FIELDS
    assert len(found.pop("created")) == len("2026-01-01 00:00:00")
    assert len(found.pop("last_altered")) == len("2026-01-01 00:00:00")
    assert found == {
        "id": 1,
        "owner": 1,
        "name": "f",
        "setuid": False,
        "language": "LUA",
        "body": "",
        "routine_type": "function",
        "param_list": [],
        "returns": "any",
        "aggregate": "none",
        "sql_data_access": "none",
        "is_deterministic": False,
        "is_sandboxed": False,
        "is_null_call": True,
        "exports": ["LUA"],
        "opts": {},
        "comment": "",
        "trigger": [],
    }


def test_options(catalog: Catalog) -> None:
    given: dict[str, Any] = {
        "setuid": True,
        "language": "LUA",
        "body": "function() return '\udcff\0' end",
        "param_list": ["any", "\udcfe"],
        "returns": "string",
        "is_deterministic": True,
        "is_sandboxed": True,
        "comment": "why\udcff",
        "trigger": ["box.session.on_auth"],
        "exports": ["LUA", "SQL"],
        "aggregate": "group",
    }
    catalog.function("f", **given, opts={"a": [1]}, is_multikey=True, takes_raw_args=False)
    found = catalog.functions()["f"]
    assert {name: found[name] for name in given} == given
    assert found["opts"] == {"a": [1], "is_multikey": True}


def test_names(catalog: Catalog) -> None:
    catalog.function("a.b:c d")
    assert catalog.refused("create_function", 1, "a.b:c d", {}) == ("FUNCTION_EXISTS", "a.b:c d")
    assert catalog.do("create_function", 1, "a.b:c d", {}, True) is None
    assert catalog.refused("create_function", 1, "", {}) == ("IDENTIFIER", "")
    assert catalog.refused("create_function", 1, "a" * 65001, {}) == (
        *("CREATE_FUNCTION", "a" * 64, "function name is too long"),
    )


@pytest.mark.parametrize("named", ["f", 1])
def test_drop(catalog: Catalog, named: str | int) -> None:
    catalog.function("f")
    catalog.user("u")
    catalog.do("grant", 1, "user", "u", 4, "execute", "function", None, "f")
    assert catalog.do("drop_function", named) == 1
    assert ("function", 1) not in catalog.rights("u")
    assert catalog.refused("drop_function", named) == ("NO_SUCH_FUNCTION", str(named))
    assert catalog.do("drop_function", named, True) is None
    assert catalog.function("f") == 2


def test_names_that_look_like_numbers(catalog: Catalog) -> None:
    catalog.function("7")
    assert catalog.refused("drop_function", 7) == ("NO_SUCH_FUNCTION", "7")
    assert catalog.refused("drop_function", "1") == ("NO_SUCH_FUNCTION", "1")
    assert catalog.do("drop_function", "7") == 1


def test_once(catalog: Catalog) -> None:
    assert [catalog.do("once", key) for key in ("a", "a", "b", "\udcff", "\udcff")] == [
        *(True, False, True, True, False),
    ]
    assert [catalog.do("forget_once", "a") for _ in range(2)] == [True, False]
    assert catalog.do("once", "a") is True


def test_once_with_somebody_who_runs_it(catalog: Catalog) -> None:
    assert catalog.do("once", "a", "me") is True
    assert catalog.do("once", "a", "you") == "me"
    assert catalog.do("once_over", "a", "you") is False
    assert catalog.do("once", "a", "me") == "me"
    assert catalog.do("once_over", "a", "me") is True
    assert catalog.do("once_over", "a", "me") is False
    assert catalog.do("once", "a", "you") is False
    assert catalog.do("once_over", "b", "me") is False
