"""Users of an engine's catalog, made and changed as another worker would, and their logins."""

from __future__ import annotations

import msgpack

from shm.catalog import passwords
from tests.helpers.engine import SALT, Client, Engine
from tests.helpers.raw import AUTH, Packet, request, scramble

GUEST, ADMIN = 0, 1
SESSION_AND_USAGE = 24
UNIVERSE = (SESSION_AND_USAGE, "session,usage", "universe", None, "")


def change(engine: Engine, operation: str, *arguments: object) -> object:
    """One operation of shm/catalog/changes; its result."""
    packed = engine.catalog.change(operation.encode(), msgpack.packb(arguments))
    ok, result = msgpack.unpackb(packed)[:2]
    assert ok, msgpack.unpackb(packed)
    return result


def stored(password: str | None) -> bytes | None:
    """What a catalog keeps of a password."""
    return None if password is None else passwords.digest(password.encode())


def add(engine: Engine, name: str, password: str | None = None) -> int:
    """A new user; its number."""
    uid = change(engine, "create_principal", ADMIN, "user", name, stored(password), False)
    assert isinstance(uid, int)
    return uid


def give(client: Client, uid: int) -> None:
    """Another user for a session from its next request on, without a login."""
    client.slot.uid = uid


def number(engine: Engine, name: str) -> int:
    """The number of a user that the engine knows."""
    source = "return require('beespace.engine.catalog').by_name[...].id"
    return int(engine.execute(source, name.encode()))


def set_password(engine: Engine, uid: int, password: str | None) -> None:
    change(engine, "set_password", uid, stored(password))


def drop(engine: Engine, name: str) -> None:
    change(engine, "drop_principal", "user", name)


def disable(engine: Engine, name: str) -> None:
    change(engine, "revoke", "user", name, *UNIVERSE, False)


def enable(engine: Engine, name: str) -> None:
    change(engine, "grant", ADMIN, "user", name, *UNIVERSE, False)


def allow_everything(engine: Engine, name: str) -> None:
    """Let a user call and evaluate whatever it likes."""
    change(engine, "grant", ADMIN, "user", name, 4, "execute", "universe", None, "", False)


def make_super(engine: Engine, name: str) -> None:
    change(engine, "grant_role", ADMIN, "user", name, "super")


def auth(sync: int, name: str, password: str) -> bytes:
    """The packet of AUTH with a password."""
    proof = scramble(SALT, password)
    return request({0: AUTH, 1: sync}, {0x23: name, 0x21: ["chap-sha1", proof]})


def login(client: Client, name: str, password: str) -> Packet:
    """AUTH with a password."""
    proof = scramble(SALT, password)
    return client.request(AUTH, {0x23: name, 0x21: ["chap-sha1", proof]})
