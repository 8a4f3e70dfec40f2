"""The whole catalog as plain data, for a worker to keep.

A worker calls :func:`load` through :mod:`workers.catalog` when it starts and after every change:

    principals   [[id, owner, name, kind, hash or None, serial, modified], ...]
    privileges   [[grantor, grantee, object type, object id, mask], ...]
    functions    [{every field of a function by name}, ...]

Who looks at a server from outside asks for :func:`user_names` only.

Principals and functions come by id, privileges by grantee, type and id. All of it is one state.
"""

from __future__ import annotations

from typing import Any

from shm.catalog import functions, names
from shm.catalog.store import Store


def load(store: Store) -> dict[str, list[Any]]:
    """The catalog as it is now."""
    with store.reading() as connection:
        principals = connection.execute(
            "SELECT id, owner, name, kind, hash, serial, modified FROM principals ORDER BY id"
        ).fetchall()
        privileges = connection.execute(
            "SELECT grantor, grantee, object_type, object_id, mask FROM privileges "
            "ORDER BY grantee, object_type, object_id"
        ).fetchall()
        return {
            "principals": [list(row) for row in principals],
            "privileges": [
                [*row[:3], names.from_file(row[3]) if isinstance(row[3], bytes) else row[3], row[4]]
                for row in privileges
            ],
            "functions": functions.read(connection),
        }


def user_names(store: Store) -> dict[int, str]:
    """The names of all users by their ids."""
    with store.reading() as connection:
        rows = connection.execute("SELECT id, name FROM principals WHERE kind = 'user'")
        return {int(number): str(name) for number, name in rows}
