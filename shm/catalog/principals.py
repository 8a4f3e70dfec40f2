"""Users and roles: found by name or id, made, dropped, given passwords.

Called with a connection inside a writing transaction, by :mod:`shm.catalog.changes` and
:mod:`shm.catalog.declared`.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from sqlite3 import Connection
from typing import Final

from shm.catalog import names
from shm.catalog.errors import RefusedError
from shm.catalog.objects import (
    ADMIN,
    BITS,
    BUILT_IN,
    EXECUTE,
    FUNCTION,
    GUEST,
    LOGIN,
    PUBLIC,
    ROLE,
    UNIVERSE,
    USER,
)

Named = str | int
"""How a caller names a user, a role or a function: by name or by id."""

_MISSING: Final = {USER: "NO_SUCH_USER", ROLE: "NO_SUCH_ROLE"}
_EXISTS: Final = {USER: "USER_EXISTS", ROLE: "ROLE_EXISTS"}

_DROP_RIGHTS_ON_FUNCTIONS: Final = f"""
    DELETE FROM privileges WHERE object_type = '{FUNCTION}'
    AND object_id IN (SELECT id FROM functions WHERE owner = :id)
"""


def find(connection: Connection, kind: str, named: Named) -> int | None:
    """The id of a user or role; None when there is none of that kind."""
    # A number is never compared with a name: SQLite would take the text "32" for the number.
    column, value = ("name", names.to_file(named)) if isinstance(named, str) else ("id", named)
    row = connection.execute(
        f"SELECT id FROM principals WHERE kind = ? AND {column} = ?", (kind, value)
    ).fetchone()
    return None if row is None else int(row[0])


def need(connection: Connection, kind: str, named: Named) -> int:
    """The id of a user or role, which must be there."""
    found = find(connection, kind, named)
    if found is None:
        raise RefusedError(_MISSING[kind], str(named))
    return found


def create(
    connection: Connection,
    who: int,
    kind: str,
    name: str,
    password_hash: str | bytes | None = None,
    if_not_exists: bool = False,
) -> int | None:
    """Make a user or role owned by ``who``; None when the name is taken and that is all right."""
    if any(find(connection, each, name) is not None for each in (USER, ROLE)):
        if if_not_exists:
            return None
        raise RefusedError(_EXISTS[kind], name)
    names.check(name, "CREATE_USER", USER)
    number = next_id(connection, "next_principal")
    check_owner(connection, who)
    connection.execute(
        "INSERT INTO principals (id, owner, name, kind, hash, modified) VALUES (?, ?, ?, ?, ?, ?)",
        (number, who, name, kind, names.to_bytes(password_hash), int(time.time())),
    )
    if kind == USER:
        connection.executemany(
            "INSERT INTO privileges (grantor, grantee, object_type, object_id, mask) "
            "VALUES (?, ?, ?, ?, ?)",
            (
                (who, number, ROLE, PUBLIC, EXECUTE),
                (ADMIN, number, UNIVERSE, 0, LOGIN),
                (who, number, USER, number, BITS["alter"]),
            ),
        )
    return number


def drop(
    connection: Connection,
    kind: str,
    named: Named,
    if_exists: bool = False,
    in_use: Iterable[int] = (),
) -> int | None:
    """Drop a user or role with its rights, the rights on it, and its functions.

    What it granted to others, and users and roles it made, are admin's from then on.
    """
    number = find(connection, kind, named)
    if number is None:
        if if_exists:
            return None
        raise RefusedError(_MISSING[kind], str(named))
    if number in BUILT_IN:
        raise RefusedError("DROP_USER", str(named), "the user or the role is a system")
    if number in in_use:
        raise RefusedError("DROP_USER", str(named), "the user is active in the current session")
    for statement in (
        _DROP_RIGHTS_ON_FUNCTIONS,
        "DELETE FROM functions WHERE owner = :id",
        f"DELETE FROM privileges WHERE object_type IN ('{USER}', '{ROLE}') AND object_id = :id",
        "DELETE FROM privileges WHERE grantee = :id",
        f"UPDATE privileges SET grantor = {ADMIN} WHERE grantor = :id",
        f"UPDATE principals SET owner = {ADMIN} WHERE owner = :id",
        "DELETE FROM principals WHERE id = :id",
    ):
        connection.execute(statement, {"id": number})
    return number


def set_password(connection: Connection, number: int, password_hash: str | bytes | None) -> None:
    """Give a user another password, or None: no login with a password."""
    need(connection, USER, number)
    if number == GUEST:
        raise RefusedError("GUEST_USER_PASSWORD")
    connection.execute(
        "UPDATE principals SET hash = ?, serial = serial + 1, modified = ? WHERE id = ?",
        (names.to_bytes(password_hash), int(time.time()), number),
    )


def next_id(connection: Connection, name: str) -> int:
    """The next number under a name of ``meta``; it is never given again."""
    (number,) = connection.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
    connection.execute("UPDATE meta SET value = value + 1 WHERE name = ?", (name,))
    return int(number)


def check_owner(connection: Connection, who: int) -> None:
    """The caller may have been dropped while it was asking."""
    if find(connection, USER, who) is None and find(connection, ROLE, who) is None:
        raise RefusedError("NO_SUCH_USER", str(who))
