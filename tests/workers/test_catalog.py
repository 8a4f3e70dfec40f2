"""The catalog's services as Lua calls them: MessagePack both ways, errors as answers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgpack
import pytest

from shm.catalog.errors import CatalogError
from shm.catalog.passwords import Rules
from shm.catalog.store import FILE, Store
from workers import bridge
from workers.catalog import Catalog

ESCAPE = "surrogateescape"


class Services:
    """The services of one worker, with the values in place of bytes."""

    def __init__(self, path: Path) -> None:
        self.renewed = 0
        self.catalog = Catalog(path, self._renew, Rules(min_length=4), durable=False)
        self.all = bridge.guarded(self.catalog.services())

    def _renew(self) -> None:
        self.renewed += 1

    def snapshot(self) -> Any:
        return msgpack.unpackb(self.all["catalog_snapshot"](), unicode_errors=ESCAPE)

    def change(self, operation: str, *arguments: Any) -> Any:
        packed = msgpack.packb(list(arguments), unicode_errors=ESCAPE)
        answer = self.all["catalog_change"](operation.encode(), packed)
        return msgpack.unpackb(answer, unicode_errors=ESCAPE)


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    Store.make(tmp_path / FILE, durable=False).close()
    made = Services(tmp_path / FILE)
    yield made
    made.catalog.close()


def test_a_change_is_in_the_next_snapshot(services: Services) -> None:
    assert [row[2] for row in services.snapshot()["principals"]] == [
        *("guest", "admin", "public", "replication", "super"),
    ]
    assert services.change("create_principal", 1, "user", "u", b"h" * 20) == [True, 32]
    assert services.change("create_function", 1, "f", {"body": "\udcff"}) == [True, 1]
    found = services.snapshot()
    assert found["principals"][-1][:5] == [32, 1, "u", "user", b"h" * 20]
    assert found["functions"][0]["body"] == "\udcff"
    assert [1, 32, "universe", 0, 24] in found["privileges"]


def test_only_changes_are_announced(services: Services) -> None:
    services.change("create_principal", 1, "user", "u")
    assert services.renewed == 1
    assert services.change("create_principal", 1, "user", "u", None, True) == [True, None]
    assert services.change("create_principal", 1, "user", "u") == [False, "USER_EXISTS", ["u"]]
    assert services.change("grant_role", 1, "user", "u", "public", True) == [True, False]
    services.snapshot()
    assert services.renewed == 1
    assert services.change("drop_principal", "user", "u") == [True, 32]
    assert services.renewed == 2


def test_values_as_lua_sends_them(services: Services) -> None:
    kept = bytes(range(236, 256))
    text = kept.decode("utf-8", ESCAPE)
    services.change("create_principal", 1, "user", "u", text, None)
    services.change("create_function", 1, "f", [], None)
    services.change("create_function", 1, "g", {"comment": None, "opts": [], "setuid": True})
    found = services.snapshot()
    assert found["principals"][-1][4] == kept
    assert [row["setuid"] for row in found["functions"]] == [False, True]
    assert found["functions"][1]["opts"] == {}
    services.change("set_password", 32, "a" * 20)
    assert services.snapshot()["principals"][-1][4:6] == [b"a" * 20, 1]
    assert services.change("drop_principal", "user", "u", None, {}) == [True, 32]


def test_a_refusal_names_a_box_error(services: Services) -> None:
    assert services.change("drop_function", "\udcff") == [False, "NO_SUCH_FUNCTION", ["\udcff"]]
    assert services.change("set_password", 0, None) == [False, "GUEST_USER_PASSWORD", []]


@pytest.mark.parametrize(("operation", "arguments"), [("nonsense", []), ("once", []), ("once", 5)])
def test_a_wrong_call_is_no_catastrophe(
    services: Services, operation: str, arguments: object
) -> None:
    call = services.all["catalog_change"]
    result, text = call(operation.encode(), msgpack.packb(arguments))
    assert result is None
    assert text
    assert call(b"once", b"\xc1")[0] is None
    assert services.change("once", "a") == [True, True]


def test_a_catalog_that_is_gone(tmp_path: Path) -> None:
    services = Services(tmp_path / FILE)
    assert services.all["catalog_snapshot"]() == (
        *(None, b"the catalog cannot be read: it cannot be opened"),
    )
    assert services.change("once", "a") == [
        *(False, "SYSTEM", ["the catalog cannot be changed: it cannot be opened"]),
    ]
    assert services.renewed == 0


def test_a_file_that_was_opened_for_reading_only_is_opened_anew(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    services.catalog._store()._connection.execute("PRAGMA query_only = ON")
    refused = [False, "SYSTEM", ["the catalog cannot be changed: it is read-only"]]
    with monkeypatch.context() as patched:

        def refuse(*_: object) -> Store:
            raise CatalogError("it cannot be opened")

        patched.setattr(Store, "open", refuse)
        assert services.change("create_principal", 1, "user", "u") == refused
    assert len(services.snapshot()["principals"]) == 5, "what was open is kept"
    assert services.change("create_principal", 1, "user", "u") == refused
    assert services.change("create_principal", 1, "user", "u") == [True, 32]


def test_weak_passwords(services: Services) -> None:
    complain = services.all["password_complaint"]
    assert complain(b"abcd") is None
    assert complain("éééé".encode()) is None
    assert complain(b"abc") == b"password should be at least 4 characters long"
