"""Lua values in Python: MessagePack bytes to plain objects and back.

Called by ``workers.texts``. Maps keep the order and the kinds of their keys; typed values of the
protocol (decimal, uuid, error, datetime, interval) become their texts.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import msgpack


class Map(tuple[tuple[Any, Any], ...]):
    """A map as its pairs: keys of a Lua table may be equal in Python (1, true, 1.0)."""

    __slots__ = ()


def unpack(packed: bytes) -> Any:
    """A packed value with maps as Map, typed values as texts; bytes that are not UTF-8 escaped."""
    return msgpack.unpackb(
        packed,
        raw=False,
        unicode_errors="surrogateescape",
        strict_map_key=False,
        object_pairs_hook=Map,
        ext_hook=_typed_text,
    )


def pack(value: Any) -> bytes:
    """MessagePack of a value; escaped bytes become themselves again."""
    return bytes(msgpack.packb(value, unicode_errors="surrogateescape"))


def text_of_bytes(value: bytes) -> str:
    """Bytes as text; what is not UTF-8 is escaped."""
    return value.decode("utf-8", "surrogateescape")


def _typed_text(kind: int, payload: bytes) -> str:
    match kind:
        case 1:
            return _decimal_text(payload)
        case 2:
            return str(UUID(bytes=payload))
        case 3:
            return str(dict(dict(unpack(payload))[0][0])[3])
        case 4:
            return _datetime_text(payload)
        case 6:
            return _interval_text(payload)
    raise ValueError(f"unsupported extension type {kind}")


def _decimal_text(payload: bytes) -> str:
    unpacker = msgpack.Unpacker()
    unpacker.feed(payload)
    scale = unpacker.unpack()
    digits = payload[unpacker.tell() :].hex()
    sign = 1 if digits[-1] in "bd" else 0
    return str(Decimal((sign, tuple(map(int, digits[:-1])), -scale)))


def _datetime_text(payload: bytes) -> str:
    def number(start: int, size: int) -> int:
        return int.from_bytes(payload[start : start + size], "little", signed=True)

    seconds, nanoseconds, minutes = number(0, 8), number(8, 4), number(12, 2)
    zone = timezone(timedelta(minutes=minutes))
    try:
        moment = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)).astimezone(zone)
    except (OverflowError, ValueError):
        return f"{seconds} seconds"
    digits = 0 if nanoseconds == 0 else 3 if nanoseconds % 10**6 == 0 else 6
    digits = 9 if nanoseconds % 1000 else digits
    fraction = f".{nanoseconds:09d}"[: digits + 1] if digits else ""
    offset = moment.strftime("%z") if minutes else "Z"
    return f"{moment.replace(microsecond=0, tzinfo=None).isoformat()}{fraction}{offset}"


# by their number on the wire
_INTERVAL_FIELDS: Final = (
    "years",
    "months",
    "weeks",
    "days",
    "hours",
    "minutes",
    "seconds",
    "nanoseconds",
)


def _interval_text(payload: bytes) -> str:
    unpacker = msgpack.Unpacker(strict_map_key=False)
    unpacker.feed(payload[1:])
    parts = []
    for _ in range(payload[0]):
        field, amount = unpacker.unpack(), unpacker.unpack()
        if field < len(_INTERVAL_FIELDS):
            parts.append(f"{amount:+d} {_INTERVAL_FIELDS[field]}")
    return ", ".join(parts) or "0 seconds"
