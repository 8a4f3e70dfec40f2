"""Every change of the catalog that Lua can ask for, by name: one call is one transaction.

    apply(store, operation, arguments) --> result, or RefusedError and nothing has changed

Arguments are positional; missing ones at the end count as not given. ``who`` is the id of the
caller, who becomes owner or grantor. ``kind`` is ``user`` or ``role``. Whoever is named can be
named by name (text) or id (number). What the caller may do is checked before, in Lua; what depends
on the state of the catalog is checked here.

create_principal(who, kind, name, hash or nil, if_not_exists) -> id; nil: the name is taken
    USER_EXISTS, ROLE_EXISTS, IDENTIFIER, CREATE_USER (too long). A user gets role public,
    session and usage on universe, alter on itself.
drop_principal(kind, named, if_exists, ids in use) -> id; nil: there is none
    NO_SUCH_USER, NO_SUCH_ROLE, DROP_USER. Its functions go with it, all rights on it and of it;
    what it had granted to others stays, granted by admin.
set_password(id, hash or nil) -> nil
    NO_SUCH_USER, GUEST_USER_PASSWORD. The user's serial moves, whatever the hash.
grant(who, kind, named, mask, rights, object_type, object_id, object_name, if_not_exists) -> bool
    Whether anything was new. NO_SUCH_USER, NO_SUCH_ROLE, GRANT (session or usage to a role),
    PRIV_GRANTED, and the errors of grant_role for execute on a role. ``rights`` is the text of the
    mask for errors. Functions, users and roles as objects are found here: by object_id, which may
    be a name too, else by object_name; nil or '' for both means all of the type. Other types take
    object_id as it is (space: number, lua_call: name), universe has none. NO_SUCH_FUNCTION, ...
revoke(kind, named, mask, rights, object_type, object_id, object_name, if_exists) -> bool
    Whether any was there; those that were not are passed over. PRIV_NOT_GRANTED, GRANT (the rights
    of admin and super on universe), and those for names as in grant.
grant_role(who, kind, named, role, if_not_exists) -> bool
    NO_SUCH_USER, NO_SUCH_ROLE, ROLE_GRANTED, ROLE_LOOP
revoke_role(kind, named, role, if_exists) -> bool
    NO_SUCH_USER, NO_SUCH_ROLE, ROLE_NOT_GRANTED
create_function(who, name, {field = value}, if_not_exists) -> id; nil: it exists
    FUNCTION_EXISTS, IDENTIFIER, CREATE_FUNCTION (too long). Fields are the options of
    box.schema.func.create; is_multikey and takes_raw_args end up in opts. Rights that the settings
    grant on the name are given at once.
drop_function(named, if_exists) -> id; nil: there is none
    NO_SUCH_FUNCTION. All rights on it go with it.
once(key, runner or nil) -> true the first time; after that the text of the runner whose work has
    not ended yet, else false
once_over(key, runner) -> whether that runner's work had not ended yet; now it has
forget_once(key) -> whether the key was there
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from sqlite3 import Connection
from typing import Any, Final

from shm.catalog import functions, names, principals, privileges
from shm.catalog.objects import EXECUTE, ROLE
from shm.catalog.principals import Named
from shm.catalog.store import Store


def apply(store: Store, operation: str, arguments: Sequence[Any]) -> Any:
    """Make one change; RefusedError or CatalogError when it cannot be."""
    with store.writing() as connection:
        return _OPERATIONS[operation](connection, *arguments)


def _drop_principal(
    connection: Connection,
    kind: str,
    named: Named,
    if_exists: bool | None = None,
    in_use: Sequence[int] | None = None,
) -> int | None:
    return principals.drop(connection, kind, named, bool(if_exists), in_use or ())


def _grant_role(
    connection: Connection,
    who: int,
    kind: str,
    named: Named,
    role: Named,
    if_not_exists: bool | None = None,
) -> bool:
    return privileges.grant(
        connection,
        *(who, kind, named, EXECUTE, "execute", ROLE, role, str(role)),
        if_not_exists=bool(if_not_exists),
    )


def _revoke_role(
    connection: Connection,
    kind: str,
    named: Named,
    role: Named,
    if_exists: bool | None = None,
) -> bool:
    return privileges.revoke(
        connection,
        *(kind, named, EXECUTE, "execute", ROLE, role, str(role)),
        if_exists=bool(if_exists),
    )


def _once(connection: Connection, key: str, runner: str | None = None) -> bool | str:
    kept = names.to_file(key)
    found = connection.execute("SELECT runner FROM once WHERE key = ?", (kept,)).fetchone()
    if found is None:
        connection.execute("INSERT INTO once (key, runner) VALUES (?, ?)", (kept, runner))
        return True
    return False if found[0] is None else str(found[0])


def _once_over(connection: Connection, key: str, runner: str) -> bool:
    found = connection.execute(
        "UPDATE once SET runner = NULL WHERE key = ? AND runner = ?", (names.to_file(key), runner)
    )
    return found.rowcount > 0


def _forget_once(connection: Connection, key: str) -> bool:
    found = connection.execute("DELETE FROM once WHERE key = ?", (names.to_file(key),))
    return found.rowcount > 0


_OPERATIONS: Final[dict[str, Callable[..., Any]]] = {
    "create_principal": principals.create,
    "drop_principal": _drop_principal,
    "set_password": principals.set_password,
    "grant": privileges.grant,
    "revoke": privileges.revoke,
    "grant_role": _grant_role,
    "revoke_role": _revoke_role,
    "create_function": functions.create,
    "drop_function": functions.drop,
    "once": _once,
    "once_over": _once_over,
    "forget_once": _forget_once,
}
