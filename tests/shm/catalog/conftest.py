"""A fresh catalog for every test, and short ways to change and read it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shm.catalog import changes, snapshot
from shm.catalog.errors import RefusedError
from shm.catalog.store import FILE, Store

PRINCIPAL = ("id", "owner", "name", "kind", "hash", "serial", "modified")


class Catalog:
    """A store with the operations as methods: ``catalog.do("once", "key")``."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.store = Store.make(path, durable=False)

    def do(self, operation: str, *arguments: Any) -> Any:
        return changes.apply(self.store, operation, arguments)

    def refused(self, operation: str, *arguments: Any) -> tuple[str, ...]:
        """Error name and values; nothing may have changed."""
        before = snapshot.load(self.store)
        with pytest.raises(RefusedError) as caught:
            self.do(operation, *arguments)
        assert snapshot.load(self.store) == before
        return (caught.value.code, *caught.value.values)

    def principals(self) -> dict[str, dict[str, Any]]:
        rows = snapshot.load(self.store)["principals"]
        return {row[2]: dict(zip(PRINCIPAL, row, strict=True)) for row in rows}

    def functions(self) -> dict[str, dict[str, Any]]:
        return {row["name"]: row for row in snapshot.load(self.store)["functions"]}

    def rights(self, name: str) -> dict[tuple[str, Any], int]:
        """Mask by type and id of object."""
        number = self.principals()[name]["id"]
        rows = snapshot.load(self.store)["privileges"]
        return {(kind, key): mask for _, grantee, kind, key, mask in rows if grantee == number}

    def grantor(self, name: str, kind: str, key: Any) -> int:
        number = self.principals()[name]["id"]
        rows = snapshot.load(self.store)["privileges"]
        (found,) = [row[0] for row in rows if row[1:4] == [number, kind, key]]
        return int(found)

    def user(self, name: str, *rest: Any) -> int:
        return int(self.do("create_principal", 1, "user", name, *rest))

    def role(self, name: str) -> int:
        return int(self.do("create_principal", 1, "role", name))

    def function(self, name: str, who: int = 1, **options: Any) -> int:
        return int(self.do("create_function", who, name, options))


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    made = Catalog(tmp_path / FILE)
    yield made
    made.store.close()
