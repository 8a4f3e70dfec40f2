"""The settings' ``credentials``: users and roles that a server has from its start.

    credentials:
      roles: {NAME: {roles: [...], privileges: [...]}}
      users: {NAME: {password: TEXT, roles: [...], privileges: [...]}}

    privileges: [{permissions: [...], universe: true, functions: [...], lua_call: [...], ...}]

Names and meaning are Tarantool 3's. :mod:`server.settings` calls :func:`read`, which answers with
what is wrong by key and place; no value is shown there, for it might be a password in the wrong
place. :mod:`server.resources` calls :func:`apply` before any worker
starts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pydantic import SecretStr

from server.context import Context, TemplateError
from server.errors import SettingsError
from server.shown import kind
from shm.catalog import declared, names, privileges
from shm.catalog.declared import Changed, Declared, DeclaredError, Right
from shm.catalog.errors import CatalogError, RefusedError
from shm.catalog.objects import BITS, EVERY, GUEST, LOGIN, PERMISSIONS, ROLE, SPACES, UNIVERSE, USER
from shm.catalog.passwords import Rules, digest
from shm.catalog.store import Store

KEY: Final = "credentials"
KINDS: Final = {"roles": ROLE, "users": USER}
ALL: Final = "all"
_KEYS: Final = {ROLE: ("privileges", "roles"), USER: ("password", "privileges", "roles")}
_SWITCHES: Final = {"universe": UNIVERSE, "lua_eval": "lua_eval", "sessions": "session"}
_LISTS: Final = {
    "functions": "function",
    "lua_call": "lua_call",
    "sequences": "sequence",
    "spaces": "space",
    "sql": "sql",
}
_PRIVILEGE_KEYS: Final = ("permissions", *sorted((*_SWITCHES, *_LISTS)))

Problem = tuple[str, str]
"""Key and text of an error line."""


@dataclass(frozen=True)
class Credentials:
    """Everything declared, with passwords that show themselves to nobody."""

    declared: tuple[Declared, ...] = ()
    passwords: Mapping[str, SecretStr] = field(default_factory=dict)
    """By user; their hashes are not in ``declared`` yet."""
    origin: str = "defaults"

    def weak(self, rules: Rules) -> Iterator[Problem]:
        """Every password that the rules of ``security`` do not let pass."""
        for name, password in self.passwords.items():
            if complaint := rules.complaint(password.get_secret_value()):
                yield _at("users", name, "password"), f"got a weak password, {complaint}"


def read(branch: Any, context: Context, origin: str) -> tuple[Credentials, list[Problem]]:
    """The section of the settings' file."""
    reader = _Reader(context)
    if branch is not None and not isinstance(branch, dict):
        return Credentials(), [
            (KEY, f"got {kind(branch)}, expected a map with the keys roles, users")
        ]
    for section, members in (branch or {}).items():
        key = f"{KEY}.{section}"
        if section not in KINDS:
            reader.problems.append((key, "got a value, expected one of the keys roles, users"))
        elif not isinstance(members, dict):
            reader.problems.append((key, f"got {kind(members)}, expected a map of names"))
    # Roles first: users may have them.
    for section, sort in KINDS.items():
        members = (branch or {}).get(section)
        for name, member in members.items() if isinstance(members, dict) else ():
            reader.principal(_at(section, name), sort, name, member)
    found = Credentials(tuple(reader.declared), reader.passwords, origin if branch else "defaults")
    return found, reader.problems


def apply(store: Store, credentials: Credentials) -> Changed:
    """Bring everything declared into the catalog; SettingsError when it does not fit there."""
    hashes = {
        name: digest(password.get_secret_value().encode("utf-8", "surrogateescape"))
        for name, password in credentials.passwords.items()
    }
    wanted = [
        Declared(each.kind, each.name, each.roles, each.rights, hashes.get(each.name))
        if each.kind == USER
        else each
        for each in credentials.declared
    ]
    try:
        return declared.apply(store, wanted)
    except DeclaredError as error:
        section = "users" if error.whose.kind == USER else "roles"
        code, (first, *_) = error.refusal.code, error.refusal.values
        about_roles = code in ("NO_SUCH_ROLE", "ROLE_LOOP")
        part = [f"roles[{error.whose.roles.index(first) + 1}]"] if about_roles else []
        key = _at(section, error.whose.name, *part)
        raise SettingsError(f"{key}: {_REFUSALS[code]} ({credentials.origin})") from error


def open_to_guests(path: Path) -> bool:
    """Whether everybody who connects may evaluate any text; False when nobody can tell."""
    try:
        with closing(Store.open(path)) as store, store.reading() as connection:
            return privileges.may_evaluate(connection, GUEST)
    except CatalogError:
        return False


_REFUSALS: Final[Mapping[str, str]] = {
    "NO_SUCH_ROLE": "got a text, expected a role that exists",
    "ROLE_LOOP": "got a role, expected none that has this one",
    "USER_EXISTS": "got a user, expected a name that no role has",
    "ROLE_EXISTS": "got a role, expected a name that no user has",
}


class _Reader:
    """Reads users and roles, and notes what is wrong."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self.problems: list[Problem] = []
        self.declared: list[Declared] = []
        self.passwords: dict[str, SecretStr] = {}

    def principal(self, key: str, sort: str, name: str, member: Any) -> None:
        """One user or role."""
        try:
            names.check(name, "CREATE_USER", USER)
        except RefusedError:
            text = f"got the name {name[:64]!r}, expected printable characters, at most 65000 bytes"
            self._wrong(key.removesuffix(f".{name}"), text)
            return
        member = {} if member is None else member
        if not self._map(key, member, _KEYS[sort]):
            return
        roles = self._texts(f"{key}.roles", member.get("roles"), "names of roles")
        rights: dict[Right, int] = {}
        listed = member.get("privileges")
        if listed is not None and not isinstance(listed, list):
            self._wrong(f"{key}.privileges", f"got {kind(listed)}, expected a list of maps")
            listed = None
        for number, privilege in enumerate(listed or (), 1):
            for right, mask in self._privilege(f"{key}.privileges[{number}]", sort, privilege):
                rights[right] = rights.get(right, 0) | mask
        if member.get("password") is not None:
            self._password(f"{key}.password", name, member["password"])
        self.declared.append(Declared(sort, name, tuple(roles), tuple(rights.items())))

    def _password(self, key: str, name: str, value: Any) -> None:
        if not isinstance(value, str):
            self._wrong(key, f"got {kind(value)}, expected a text; put it in quotes")
        elif name == "guest":
            self._wrong(key, "got a password, expected none: guest has no password")
        else:
            try:
                self.passwords[name] = SecretStr(self._context.fill(value))
            except TemplateError as error:
                self._wrong(key, str(error))

    def _privilege(self, key: str, sort: str, privilege: Any) -> Iterator[tuple[Right, int]]:
        """The rights of one entry."""
        if not self._map(key, privilege, _PRIVILEGE_KEYS):
            return
        permissions = self._texts(
            f"{key}.permissions", privilege.get("permissions"), "names of permissions"
        )
        if not permissions:
            self._wrong(f"{key}.permissions", f"got none, expected some of {', '.join(BITS)}")
            return
        for right in self._objects(key, privilege):
            allowed = PERMISSIONS[right[0]]
            places = [place for place, one in enumerate(permissions, 1) if one not in allowed]
            if places:
                text = f"got another text, expected some of {', '.join(allowed)} for {right[0]}"
                self._wrong(f"{key}.permissions[{places[0]}]", text)
                return
            mask = sum(BITS[permission] for permission in set(permissions))
            if sort == ROLE and mask & LOGIN:
                text = "got session or usage, which a role cannot give, expected other permissions"
                self._wrong(f"{key}.permissions", text)
                return
            yield right, mask

    def _objects(self, key: str, privilege: Mapping[str, Any]) -> Iterator[Right]:
        """What the permissions of an entry are for."""
        if not any(name in privilege for name in (*_SWITCHES, *_LISTS)):
            names_of = ", ".join(sorted((*_SWITCHES, *_LISTS)))
            self._wrong(key, f"got permissions for nothing, expected some of the keys {names_of}")
        for name, sort in _SWITCHES.items():
            wanted = privilege.get(name, False)
            if not isinstance(wanted, bool):
                self._wrong(f"{key}.{name}", f"got {kind(wanted)}, expected true or false")
            elif wanted:
                yield sort, 0 if sort == UNIVERSE else EVERY
        for name, sort in _LISTS.items():
            listed = self._texts(f"{key}.{name}", privilege.get(name), "names, or all")
            for place, each in enumerate(listed, 1):
                here = f"{key}.{name}[{place}]"
                if each == ALL:
                    yield sort, EVERY
                elif not each:
                    # The catalog's word for every object of a kind is the empty name.
                    self._wrong(here, "got an empty name, expected names, or all")
                elif name in ("sequences", "sql"):
                    self._wrong(here, "got another text, expected all")
                elif name == "spaces" and each not in SPACES:
                    text = f"got another text, expected all or one of {', '.join(SPACES)}"
                    self._wrong(here, text)
                else:
                    yield sort, SPACES[each] if name == "spaces" else each

    def _texts(self, key: str, value: Any, what: str) -> list[str]:
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            got = kind(value) if not isinstance(value, list) else "a list of other things"
            self._wrong(key, f"got {got}, expected a list of {what}")
            return []
        return value

    def _map(self, key: str, value: Any, known: tuple[str, ...]) -> bool:
        """Whether it is a map; its keys must be known."""
        if not isinstance(value, dict):
            text = f"got {kind(value)}, expected a map with the keys {', '.join(known)}"
            self._wrong(key, text)
            return False
        for name in value:
            if name not in known:
                text = f"got a value, expected one of the keys {', '.join(known)}"
                self._wrong(f"{key}.{name}", text)
        return True

    def _wrong(self, key: str, text: str) -> None:
        self.problems.append((key, text))


def _at(*parts: str) -> str:
    return ".".join((KEY, *parts))
