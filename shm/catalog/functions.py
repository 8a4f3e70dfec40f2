"""Functions that box.schema.func.create makes: found, made, dropped.

Called with a connection inside a writing transaction, by :mod:`shm.catalog.changes` and
:mod:`shm.catalog.privileges`. What a body means is not looked at here.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from sqlite3 import Connection
from typing import Any, Final

from shm.catalog import names, principals
from shm.catalog.errors import RefusedError
from shm.catalog.objects import ADMIN, FUNCTION

_DEFAULTS: Final[Mapping[str, Any]] = {
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
FIELDS: Final = ("id", "owner", "name", *_DEFAULTS, "created", "last_altered")
_SWITCHES: Final = frozenset(name for name, value in _DEFAULTS.items() if value in (True, False))
_NESTED: Final = frozenset({"param_list", "exports", "opts", "trigger"})
_IN_OPTS: Final = ("is_multikey", "takes_raw_args")


def find(connection: Connection, named: str | int) -> int | None:
    """The id of a function by name or id."""
    column, value = ("name", names.to_file(named)) if isinstance(named, str) else ("id", named)
    row = connection.execute(f"SELECT id FROM functions WHERE {column} = ?", (value,)).fetchone()
    return None if row is None else int(row[0])


def need(connection: Connection, named: str | int) -> int:
    """The id of a function, which must be there."""
    found = find(connection, named)
    if found is None:
        raise RefusedError("NO_SUCH_FUNCTION", str(named))
    return found


def create(
    connection: Connection,
    who: int,
    name: str,
    options: Mapping[str, Any],
    if_not_exists: bool = False,
) -> int | None:
    """Make a function owned by ``who``; None when it exists and that is all right.

    Rights that the settings grant on a function of this name are given with it.
    """
    if find(connection, name) is not None:
        if if_not_exists:
            return None
        raise RefusedError("FUNCTION_EXISTS", name)
    names.check(name, "CREATE_FUNCTION", FUNCTION)
    principals.check_owner(connection, who)
    number = principals.next_id(connection, "next_function")
    # An empty table of Lua arrives as a list.
    given = {key: value for key, value in dict(options).items() if value is not None}
    now = time.strftime("%Y-%m-%d %H:%M:%S")
    fields = {
        **{key: given.get(key, default) for key, default in _DEFAULTS.items()},
        "id": number,
        "owner": who,
        "name": name,
        "created": now,
        "last_altered": now,
    }
    extra = {key: given[key] for key in _IN_OPTS if given.get(key)}
    fields["opts"] = {**dict(fields["opts"]), **extra}
    connection.execute(
        f"INSERT INTO functions ({', '.join(FIELDS)}) VALUES ({', '.join('?' * len(FIELDS))})",
        [_to_file(field, fields[field]) for field in FIELDS],
    )
    connection.execute(
        "INSERT INTO privileges (grantor, grantee, object_type, object_id, mask) "
        f"SELECT {ADMIN}, grantee, object_type, ?, mask FROM settings_privileges "
        f"WHERE object_type = '{FUNCTION}' AND object_id = ?",
        (number, name),
    )
    return number


def drop(connection: Connection, named: str | int, if_exists: bool = False) -> int | None:
    """Drop a function and every right on it."""
    number = find(connection, named)
    if number is None:
        if if_exists:
            return None
        raise RefusedError("NO_SUCH_FUNCTION", str(named))
    connection.execute(
        f"DELETE FROM privileges WHERE object_type = '{FUNCTION}' AND object_id = ?", (number,)
    )
    connection.execute("DELETE FROM functions WHERE id = ?", (number,))
    return number


def read(connection: Connection) -> list[dict[str, Any]]:
    """All functions, each with all its fields, by id."""
    rows = connection.execute(f"SELECT {', '.join(FIELDS)} FROM functions ORDER BY id")
    return [
        {field: _from_file(field, value) for field, value in zip(FIELDS, row, strict=True)}
        for row in rows
    ]


def _to_file(field: str, value: Any) -> Any:
    if field in _NESTED:
        # JSON writes a byte that is no UTF-8 as the escape of its surrogate.
        return json.dumps(value)
    return names.to_file(value) if isinstance(value, str) else value


def _from_file(field: str, value: Any) -> Any:
    if field in _NESTED:
        return json.loads(value)
    if field in _SWITCHES:
        return bool(value)
    return names.from_file(value) if isinstance(value, (str, bytes)) else value
