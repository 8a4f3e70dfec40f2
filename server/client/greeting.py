"""The 128 bytes a Tarantool-like server sends first: which protocol follows, and the salt. Pure.

Tarantool 2.11.0 (Lua console)      Tarantool 2.11.0 (Binary) <uuid>
type 'help' for interactive help    <salt in base64>

:mod:`server.client.connect` reads them before it chooses a dialect.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Final

BYTES: Final = 128
SALT_BYTES: Final = 20
"""How much of the salt is used; the server sends more."""

_LINE: Final = BYTES // 2
_START: Final = b"Tarantool "
_FIRST: Final = re.compile(rb"Tarantool (\S+) \((Binary|Lua console)\)( .*)?")


@dataclass(frozen=True)
class Greeting:
    """What a server has said about itself; ``salt`` is empty for a console."""

    version: str
    is_binary: bool
    salt: bytes


def may_become(data: bytes) -> bool:
    """Whether a greeting may begin with these bytes."""
    return data[: len(_START)] == _START[: len(data)]


def parse(data: bytes) -> Greeting | None:
    """The greeting in 128 bytes; None when they are something else."""
    first, second = data[:_LINE], data[_LINE:]
    if len(data) != BYTES or not (first.endswith(b"\n") and second.endswith(b"\n")):
        return None
    found = _FIRST.fullmatch(first.rstrip())
    if not found:
        return None
    version = found[1].decode("ascii", "replace")
    if found[2] != b"Binary":
        return Greeting(version, False, b"")
    try:
        salt = base64.b64decode(second.strip(), validate=True)[:SALT_BYTES]
    except binascii.Error:
        return None
    return Greeting(version, True, salt) if len(salt) == SALT_BYTES else None
