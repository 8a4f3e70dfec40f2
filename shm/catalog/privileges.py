"""Grants and revokes, of rights on objects and of roles.

Called with a connection inside a writing transaction, by :mod:`shm.catalog.changes` and
:mod:`shm.catalog.declared`. A role is had by execute on it.
"""

from __future__ import annotations

from sqlite3 import Connection
from typing import Final

from shm.catalog import functions, names, principals
from shm.catalog.errors import RefusedError
from shm.catalog.objects import (
    ADMIN,
    BITS,
    EVERY,
    EXECUTE,
    FUNCTION,
    LOGIN,
    ROLE,
    SUPER,
    UNIVERSE,
    USER,
)
from shm.catalog.principals import Named

_HAD: Final = f"""
    WITH RECURSIVE had (id) AS (
      VALUES (?)
      UNION
      SELECT p.object_id FROM privileges AS p, had
      WHERE p.grantee = had.id AND p.object_type = '{ROLE}' AND p.mask & {EXECUTE}
    )
"""
"""Somebody, and every role that it has directly or through others."""


class Target:
    """What a right is on: type, id as the file holds it, and how an error calls it."""

    def __init__(self, connection: Connection, kind: str, key: Named | None, name: str) -> None:
        self.kind = kind
        self.id: str | bytes | int
        wanted = name if key is None else key
        if kind == UNIVERSE:
            self.id, name = 0, ""
        elif wanted == EVERY:
            self.id = EVERY
        elif kind == FUNCTION:
            self.id = functions.need(connection, wanted)
        elif kind in (USER, ROLE):
            self.id = principals.need(connection, kind, wanted)
        else:
            self.id = names.to_file(wanted) if isinstance(wanted, str) else wanted
        self.name = name

    @property
    def is_role(self) -> bool:
        """Whether execute on it is to have a role."""
        return self.kind == ROLE and self.id != EVERY

    @property
    def text(self) -> str:
        """For the end of "already has ... access on"."""
        return UNIVERSE if self.kind == UNIVERSE else f"{self.kind} '{self.name}'"


def grant(
    connection: Connection,
    who: int,
    kind: str,
    named: Named,
    mask: int,
    rights: str,
    object_type: str,
    key: Named | None,
    name: str | None,
    if_not_exists: bool = False,
) -> bool:
    """Add rights; whether any of them is new."""
    grantee = principals.need(connection, kind, named)
    if kind == ROLE and mask & LOGIN:
        raise RefusedError("GRANT", "system privilege can not be granted to role")
    target = Target(connection, object_type, key, name or "")
    if target.is_role and mask & EXECUTE and kind == ROLE:
        refuse_loop(connection, grantee, str(named), target.id, target.name)
    if add(connection, who, grantee, object_type, target.id, mask):
        return True
    if if_not_exists:
        return False
    if target.is_role and mask == EXECUTE:
        raise RefusedError("ROLE_GRANTED", str(named), target.name)
    raise RefusedError("PRIV_GRANTED", str(named), rights, target.text)


def revoke(
    connection: Connection,
    kind: str,
    named: Named,
    mask: int,
    rights: str,
    object_type: str,
    key: Named | None,
    name: str | None,
    if_exists: bool = False,
) -> bool:
    """Take rights away; whether there were any of them."""
    grantee = principals.need(connection, kind, named)
    target = Target(connection, object_type, key, name or "")
    if grantee in (ADMIN, SUPER) and object_type == UNIVERSE:
        raise RefusedError("GRANT", f"the rights of '{named}' on universe can not be revoked")
    had = held(connection, grantee, object_type, target.id)
    if take(connection, grantee, object_type, target.id, mask):
        return True
    if if_exists:
        return False
    if not had and target.is_role and mask == EXECUTE:
        raise RefusedError("ROLE_NOT_GRANTED", str(named), target.name)
    raise RefusedError("PRIV_NOT_GRANTED", str(named), rights, object_type, target.name)


def held(connection: Connection, grantee: int, object_type: str, key: str | bytes | int) -> int:
    """The rights that someone has on an object by itself, without roles."""
    row = connection.execute(
        "SELECT mask FROM privileges WHERE grantee = ? AND object_type = ? AND object_id = ?",
        (grantee, object_type, key),
    ).fetchone()
    return 0 if row is None else int(row[0])


def add(
    connection: Connection,
    who: int,
    grantee: int,
    object_type: str,
    key: str | bytes | int,
    mask: int,
) -> int:
    """Add rights without a question; those that are new."""
    new = mask & ~held(connection, grantee, object_type, key)
    if new:
        principals.check_owner(connection, who)
        connection.execute(
            "INSERT INTO privileges (grantor, grantee, object_type, object_id, mask) "
            "VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE "
            "SET mask = mask | excluded.mask, grantor = excluded.grantor",
            (who, grantee, object_type, key, new),
        )
    return new


def take(
    connection: Connection, grantee: int, object_type: str, key: str | bytes | int, mask: int
) -> int:
    """Take rights without a question; those that were there."""
    had = held(connection, grantee, object_type, key)
    if had & mask:
        place = (grantee, object_type, key)
        where = "WHERE grantee = ? AND object_type = ? AND object_id = ?"
        if rest := had & ~mask:
            connection.execute(f"UPDATE privileges SET mask = ? {where}", (rest, *place))
        else:
            connection.execute(f"DELETE FROM privileges {where}", place)
    return had & mask


def refuse_loop(
    connection: Connection, grantee: int, named: str, role: str | bytes | int, role_name: str
) -> None:
    """RefusedError when the role, or a role that it has, is the one that is to get it."""
    (reaches,) = connection.execute(
        f"{_HAD} SELECT count(*) FROM had WHERE id = ?", (role, grantee)
    ).fetchone()
    if reaches:
        raise RefusedError("ROLE_LOOP", role_name, named)


def may_evaluate(connection: Connection, number: int) -> bool:
    """Whether a user may run any text, by its own rights or those of its roles."""
    on_universe = on_lua = 0
    for kind, mask in connection.execute(
        f"{_HAD} SELECT object_type, mask FROM privileges WHERE grantee IN (SELECT id FROM had) "
        f"AND object_type IN ('{UNIVERSE}', 'lua_eval')",
        (number,),
    ):
        on_universe |= mask if kind == UNIVERSE else 0
        on_lua |= mask
    usage = BITS["usage"]
    return bool(on_universe & usage and on_lua & EXECUTE)
