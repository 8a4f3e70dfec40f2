"""What Lua asks of the catalog: its content, its changes, and whether a password is good enough.

``workers.process`` adds :meth:`Catalog.services` to those of :mod:`workers.bridge`; engine/catalog
in Lua is their caller. Everything crosses as MessagePack bytes:

    catalog_snapshot()                  --> the map of :mod:`shm.catalog.snapshot`
    catalog_change(operation, [args])   --> [true, result] or [false, error name, [its values]]
    password_complaint(password)        --> what a password lacks by security.password_*, or nil

The file is opened at the first question and stays open. A change is over for good when the answer
comes; before that every other worker has been told, by a number in the segment, to load anew.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgpack

from shm import logs
from shm.catalog import changes, snapshot
from shm.catalog.errors import CatalogError, RefusedError
from shm.catalog.passwords import Rules
from shm.catalog.store import Store

_ESCAPE: Final = "surrogateescape"


class Catalog:
    """The catalog for one worker. ``renew`` tells all workers that it has changed."""

    def __init__(
        self, path: Path, renew: Callable[[], None], rules: Rules, durable: bool = True
    ) -> None:
        self._path = path
        self._renew = renew
        self._rules = rules
        self._durable = durable
        self._opened: Store | None = None

    def demand(self, rules: Rules) -> None:
        """Other rules for passwords from now on."""
        self._rules = rules

    def services(self) -> dict[str, Callable[..., Any]]:
        """By the names that Lua knows."""
        return {
            "catalog_snapshot": self.snapshot,
            "catalog_change": self.change,
            "password_complaint": self.password_complaint,
        }

    def close(self) -> None:
        """Close the file; it is opened again by the next question."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    def snapshot(self) -> Any:
        """The whole catalog, or None and the reason why it cannot be read."""
        try:
            return _packed(snapshot.load(self._store()))
        except CatalogError as error:
            return None, f"the catalog cannot be read: {error}".encode()

    def change(self, operation: bytes, arguments: bytes) -> bytes:
        """One operation of :mod:`shm.catalog.changes`."""
        name = operation.decode()
        given = msgpack.unpackb(arguments, strict_map_key=False, unicode_errors=_ESCAPE)
        try:
            store = self._store()
            before = store.changes
            result = changes.apply(store, name, given)
        except RefusedError as error:
            return _packed([False, error.code, error.values])
        except CatalogError as error:
            logs.get().error("the catalog cannot be changed", operation=name, reason=str(error))
            self._open_anew()
            return _packed([False, "SYSTEM", [f"the catalog cannot be changed: {error}"]])
        if store.changes != before:
            self._renew()
        return _packed([True, result])

    def password_complaint(self, password: bytes) -> bytes | None:
        """What the password lacks, for the error WEAK_PASSWORD; None when it is good."""
        complaint = self._rules.complaint(password.decode("utf-8", _ESCAPE))
        return None if complaint is None else complaint.encode()

    def _store(self) -> Store:
        if self._opened is None:
            self._opened = Store.open(self._path, self._durable)
        return self._opened

    def _open_anew(self) -> None:
        """Leave nothing of a trouble that may be over soon.

        SQLite opens a file that it may not write for reading only, and so it stays. What is open is
        kept when the file cannot be opened now: it can be read at least.
        """
        with contextlib.suppress(CatalogError):
            store = Store.open(self._path, self._durable)
            self.close()
            self._opened = store


def _packed(value: Any) -> bytes:
    return bytes(msgpack.packb(value, unicode_errors=_ESCAPE))
