"""The last words to a client for whom there is no session left: greeting, one error, end.

The acceptor speaks them itself, since such a client never becomes a session. Formats: Tarantool's
binary protocol, greeting and error response; for a console its greeting and an answer in YAML.
"""

from __future__ import annotations

import base64
from typing import Final
from uuid import UUID

import msgpack

GREETING_VERSION: Final = "2.11.0"
"""The version connectors see; they switch their features by it."""
GREETING_BYTES: Final = 128
CODE: Final = 104
"""ER_PROTOCOL."""
SCHEMA_VERSION: Final = 1

_LINE: Final = 63
_KEY_TYPE, _KEY_SYNC, _KEY_SCHEMA_VERSION = 0x00, 0x01, 0x05
_KEY_ERROR_24, _KEY_ERROR = 0x31, 0x52
_ERROR_FLAG: Final = 0x8000
_STACK: Final = 0
_TYPE, _FILE, _LINE_NUMBER, _MESSAGE, _ERRNO, _CODE = range(6)
_NO_LINE: Final = 4294967295


def greeting(instance: UUID, salt: bytes) -> bytes:
    """The 128 bytes every connection begins with; ``salt`` is 32 bytes."""
    first = f"Tarantool {GREETING_VERSION} (Binary) {instance}".encode().ljust(_LINE) + b"\n"
    second = base64.b64encode(salt).ljust(_LINE) + b"\n"
    return first + second


def error_packet(text: str) -> bytes:
    """An error response to no request in particular: sync 0."""
    error = {_TYPE: "ClientError", _FILE: "acceptor", _LINE_NUMBER: _NO_LINE, _MESSAGE: text}
    error |= {_ERRNO: 0, _CODE: CODE}
    header = {_KEY_TYPE: _ERROR_FLAG | CODE, _KEY_SYNC: 0, _KEY_SCHEMA_VERSION: SCHEMA_VERSION}
    body = {_KEY_ERROR_24: text, _KEY_ERROR: {_STACK: [error]}}
    packet = msgpack.packb(header) + msgpack.packb(body)
    return b"\xce" + len(packet).to_bytes(4, "big") + bytes(packet)


def to_client(instance: UUID, salt: bytes, text: str) -> bytes:
    """Everything a refused client gets."""
    return greeting(instance, salt) + error_packet(text)


def console_greeting() -> bytes:
    """The 128 bytes every console begins with."""
    first = f"Tarantool {GREETING_VERSION} (Lua console)".encode().ljust(_LINE) + b"\n"
    return first + b"type 'help' for interactive help".ljust(_LINE) + b"\n"


def to_console(text: str) -> bytes:
    """Everything a refused console gets."""
    # Quoted for its colon.
    return console_greeting() + f"---\n- error: '{text}'\n...\n".encode()


def full_table(capacity: int) -> str:
    """Why a client is refused when every slot is taken."""
    return f"session limit reached: {capacity} of {capacity} sessions are in use"


def full_address(most: int) -> str:
    """Why a client is refused when its address has as many sessions as one may have."""
    return f"session limit of the address reached: {most} of {most} sessions are in use"
