"""Users, roles and rights that the settings declare, brought into the catalog when a server starts.

:mod:`server.credentials` calls :func:`apply` with all of them: what is missing is added, and what
the settings had given before and give no more is taken back. Rights and passwords that somebody
else gave stay; a password is set when the settings name another one than the last time. Nothing is
dropped. The same declaration twice changes nothing the second time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from sqlite3 import Connection
from typing import Final

from shm.catalog import functions, principals, privileges
from shm.catalog.errors import RefusedError
from shm.catalog.objects import ADMIN, EVERY, EXECUTE, FUNCTION, ROLE, USER
from shm.catalog.store import Store

_TABLE: Final = "settings_privileges"

Right = tuple[str, str | int]
"""Type and id of an object; a function has its name here, since it need not exist yet."""


@dataclass(frozen=True)
class Declared:
    """One user or role, with the roles it has and the mask of rights on each object."""

    kind: str
    name: str
    roles: tuple[str, ...] = ()
    rights: tuple[tuple[Right, int], ...] = ()
    password_hash: bytes | None = field(default=None, repr=False)


class DeclaredError(Exception):
    """A declaration that cannot be: whose it is, and the refusal."""

    def __init__(self, whose: Declared, refusal: RefusedError) -> None:
        super().__init__(whose.name, refusal)
        self.whose = whose
        self.refusal = refusal


@dataclass
class Changed:
    """Names of what was changed."""

    made: list[str] = field(default_factory=list)
    passwords: list[str] = field(default_factory=list)
    rights: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.made or self.passwords or self.rights)


def apply(store: Store, declared: Sequence[Declared]) -> Changed:
    """Make the catalog what is declared, in one transaction; DeclaredError and nothing is done."""
    changed = Changed()
    with store.writing() as connection:
        ids = {}
        for each in declared:
            with _blaming(each):
                ids[each.name] = _existing(connection, each, changed)
        before = _given(connection)
        wanted = {ids[each.name]: _wanted(connection, each) for each in declared}
        moved = _take_back(connection, before, wanted)
        for each in declared:
            number = ids[each.name]
            with _blaming(each):
                if _give(connection, each, number, before.get(number, {}), wanted[number]):
                    moved.add(number)
        changed.rights = _names(connection, moved)
        changed.passwords = _set_passwords(connection, declared, ids)
    return changed


@contextmanager
def _blaming(whose: Declared) -> Iterator[None]:
    """Turn a refusal into one that says whose declaration it was."""
    try:
        yield
    except RefusedError as error:
        raise DeclaredError(whose, error) from error


def _existing(connection: Connection, declared: Declared, changed: Changed) -> int:
    number = principals.find(connection, declared.kind, declared.name)
    if number is None:
        number = principals.create(connection, ADMIN, declared.kind, declared.name)
        changed.made.append(f"{declared.kind} {declared.name}")
    assert number is not None
    return number


def _given(connection: Connection) -> dict[int, dict[Right, int]]:
    """What the settings gave until now, by grantee."""
    found: dict[int, dict[Right, int]] = {}
    for grantee, kind, key, mask in connection.execute(
        f"SELECT grantee, object_type, object_id, mask FROM {_TABLE}"
    ):
        found.setdefault(grantee, {})[kind, key] = mask
    return found


def _wanted(connection: Connection, declared: Declared) -> dict[Right, int]:
    with _blaming(declared):
        wanted: dict[Right, int] = {
            (ROLE, principals.need(connection, ROLE, role)): EXECUTE for role in declared.roles
        }
    for right, mask in declared.rights:
        wanted[right] = wanted.get(right, 0) | mask
    return wanted


def _take_back(
    connection: Connection,
    before: dict[int, dict[Right, int]],
    wanted: dict[int, dict[Right, int]],
) -> set[int]:
    """Take what is given no more; from whom anything was taken."""
    moved = set()
    for grantee, given in before.items():
        for right, mask in given.items():
            gone = mask & ~wanted.get(grantee, {}).get(right, 0)
            if gone:
                key = _object(connection, right)
                if key is not None and privileges.take(connection, grantee, right[0], key, gone):
                    moved.add(grantee)
                _remember(connection, grantee, right, mask & ~gone)
    return moved


def _give(
    connection: Connection,
    declared: Declared,
    number: int,
    before: dict[Right, int],
    wanted: dict[Right, int],
) -> bool:
    """Give what is missing; whether anything was."""
    moved = False
    for right, mask in wanted.items():
        kind, key = right[0], _object(connection, right)
        if kind == ROLE and declared.kind == ROLE:
            (role,) = _names(connection, {int(right[1])})
            privileges.refuse_loop(connection, number, declared.name, right[1], role)
        new = 0 if key is None else privileges.add(connection, ADMIN, number, kind, key, mask)
        moved = moved or new > 0
        had = before.get(right, 0)
        # What somebody else gave before is not the settings' to take back. A function may be
        # dropped and made again, and has everything then.
        ours = mask if kind == FUNCTION else (had & mask) | new
        if ours != had & mask:
            _remember(connection, number, right, ours)
    return moved


def _object(connection: Connection, right: Right) -> str | int | None:
    """The object's id in ``privileges``; None for a function that does not exist."""
    kind, key = right
    if kind == FUNCTION and key != EVERY:
        return functions.find(connection, str(key))
    return key


def _remember(connection: Connection, grantee: int, right: Right, mask: int) -> None:
    place = (grantee, *right)
    connection.execute(
        f"DELETE FROM {_TABLE} WHERE grantee = ? AND object_type = ? AND object_id = ?", place
    )
    if mask:
        connection.execute(
            f"INSERT INTO {_TABLE} (grantee, object_type, object_id, mask) VALUES (?, ?, ?, ?)",
            (*place, mask),
        )


def _names(connection: Connection, numbers: set[int]) -> list[str]:
    found = connection.execute("SELECT id, name FROM principals ORDER BY id")
    return [name for number, name in found if number in numbers]


def _set_passwords(
    connection: Connection, declared: Sequence[Declared], ids: dict[str, int]
) -> list[str]:
    """Set those that the settings had not set before, take back those that they name no more.

    Those that somebody else has changed since stay as they are.
    """
    wanted = {ids[d.name]: d.password_hash for d in declared if d.password_hash is not None}
    changed = []
    for number, name, kept, ours in connection.execute(
        f"SELECT id, name, hash, settings_hash FROM principals WHERE kind = '{USER}' ORDER BY id"
    ).fetchall():
        new = wanted.get(number)
        if new == ours:
            continue
        if kept != new and (new is not None or kept == ours):
            principals.set_password(connection, number, new)
            changed.append(name)
        connection.execute("UPDATE principals SET settings_hash = ? WHERE id = ?", (new, number))
    return changed
