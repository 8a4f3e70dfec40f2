"""The catalog's file, open: made, migrated and checked by the supervisor, opened by workers.

:meth:`Store.make` is for the supervisor, and the only one that makes or migrates a file;
:meth:`Store.open` wants it there, at the newest version, and so does :meth:`Store.look`, for who
only reads. All work happens inside ``with
store.writing()`` or ``with store.reading()``, which give a connection within one transaction: what
raises inside leaves nothing behind. Everything SQLite has against it becomes a CatalogError.

The file and the two that SQLite keeps beside it (``-wal``, ``-shm``) are the owner's alone: SQLite
gives those the mode of the file. The file is never opened past SQLite, since closing such a
descriptor would take the locks of every connection of the process with it.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from shm.catalog.errors import CatalogError
from shm.catalog.schema import APPLICATION_ID, MIGRATIONS

FILE: Final = "catalog.sqlite"
"""Its name in the data directory."""
BUSY_SECONDS: Final = 5.0
VERSION: Final = len(MIGRATIONS)

_LOG: Final = "-wal"
_BESIDE: Final = ("", _LOG, "-shm")
_WRITING: Final = "mode=rw"
_READING: Final = "mode=ro&readonly_shm=1"
_READING_ALONE: Final = "mode=ro&immutable=1"
"""As nobody writes: SQLite would make its log, and lock it."""
_MODE: Final = 0o600
_REASONS: Final = (
    ("SQLITE_BUSY", f"another process has kept it locked for {BUSY_SECONDS:g} s"),
    ("SQLITE_LOCKED", "it is locked"),
    ("SQLITE_READONLY", "it is read-only"),
    ("SQLITE_PERM", "access to it is not permitted"),
    ("SQLITE_FULL", "no space is left for it"),
    ("SQLITE_CORRUPT", "it is damaged"),
    ("SQLITE_NOTADB", "it is damaged, or no catalog at all"),
    ("SQLITE_CANTOPEN", "it cannot be opened"),
    ("SQLITE_NOMEM", "not enough memory"),
    ("SQLITE_IOERR_SHMSIZE", "no space is left for it"),
    ("SQLITE_IOERR", "reading or writing it failed"),
)


class Store:
    """One connection to a catalog; for one thread."""

    def __init__(self, path: Path, durable: bool, access: str = _WRITING) -> None:
        self.path = path
        with _explained():
            self._connection = sqlite3.connect(
                f"{path.absolute().as_uri()}?{access}",
                timeout=BUSY_SECONDS,
                isolation_level=None,
                uri=True,
            )
        with self._closed_on_failure():
            self._pragma("foreign_keys = ON")
            self._pragma(f"synchronous = {'FULL' if durable else 'OFF'}")

    @classmethod
    def make(cls, path: Path, durable: bool = True) -> Store:
        """Open the catalog, made and brought to the newest version when needed, and check it."""
        try:
            _make_private(path)
        except OSError as error:
            raise CatalogError(error.strerror or str(error)) from error
        store = cls(path, durable)
        with store._closed_on_failure():
            store._refuse_strangers()
            store._share()
            store._migrate()
            store._check()
        return store

    @classmethod
    def open(cls, path: Path, durable: bool = True) -> Store:
        """Open a catalog that is there and of the newest version."""
        store = cls(path, durable)
        with store._closed_on_failure():
            store._refuse_strangers()
            store._refuse_older()
        return store

    @classmethod
    def look(cls, path: Path) -> Store:
        """Open a catalog that others use, to read it: no file is made, nobody waits for this one.

        Once the last of its users has closed it all of it is in the one file.
        """
        in_use = path.with_name(path.name + _LOG).exists()
        store = cls(path, durable=False, access=_READING if in_use else _READING_ALONE)
        with store._closed_on_failure():
            store._refuse_strangers()
            store._refuse_older()
        return store

    def close(self) -> None:
        """Give the file back; the last one to close it tidies up."""
        with contextlib.suppress(sqlite3.Error):
            self._connection.close()

    def writing(self) -> contextlib.AbstractContextManager[sqlite3.Connection]:
        """A transaction that may write and waits for its turn; over when the block is left."""
        return self._transaction("BEGIN IMMEDIATE")

    def reading(self) -> contextlib.AbstractContextManager[sqlite3.Connection]:
        """A transaction that sees one state of the catalog."""
        return self._transaction("BEGIN")

    @property
    def changes(self) -> int:
        """Rows that this connection has changed so far."""
        return self._connection.total_changes

    @contextlib.contextmanager
    def _transaction(self, begin: str) -> Iterator[sqlite3.Connection]:
        connection = self._connection
        with _explained():
            connection.execute(begin)
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                # SQLite ends some failed transactions by itself.
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def _closed_on_failure(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self.close()
            raise

    def _pragma(self, text: str) -> Any:
        with _explained():
            row = self._connection.execute(f"PRAGMA {text}").fetchone()
        return None if row is None else row[0]

    def _refuse_strangers(self) -> None:
        version = self._pragma("user_version")
        if self._pragma("application_id") != APPLICATION_ID:
            with _explained():
                (tables,) = self._connection.execute(
                    "SELECT count(*) FROM sqlite_master"
                ).fetchone()
            if version or tables:
                raise CatalogError("it is a file of another program")
        if version > VERSION:
            raise CatalogError(
                f"it has version {version}, made by a newer beespace; this one knows {VERSION}"
            )

    def _refuse_older(self) -> None:
        if (version := self._pragma("user_version")) != VERSION:
            raise CatalogError(f"it has version {version}, expected {VERSION}")

    def _share(self) -> None:
        if self._pragma("journal_mode = WAL") != "wal":
            raise CatalogError("its file system does not let processes share it (no WAL)")

    def _migrate(self) -> None:
        """Run the missing steps; writing at all shows that it can be written."""
        with self.writing() as connection:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            for step in MIGRATIONS[version:]:
                for statement in step:
                    connection.execute(statement)
            if version < VERSION:
                connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                connection.execute(f"PRAGMA user_version = {VERSION}")

    def _check(self) -> None:
        with self.reading() as connection:
            (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            broken = connection.execute("PRAGMA foreign_key_check").fetchone()
        if found != "ok" or broken is not None:
            raise CatalogError("it is damaged")


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        name = getattr(error, "sqlite_errorname", "")
        reason = next((text for known, text in _REASONS if name.startswith(known)), str(error))
        raise CatalogError(reason) from error


def _make_private(path: Path) -> None:
    """Make the file, and let nobody but its owner near it."""
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _MODE))
    for ending in _BESIDE:
        each = path.with_name(path.name + ending)
        with contextlib.suppress(FileNotFoundError):
            if each.stat().st_mode & 0o777 != _MODE:
                each.chmod(_MODE)
