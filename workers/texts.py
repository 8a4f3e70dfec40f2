"""Values of Lua as JSON and back; base64.

Called by ``workers.bridge``. A value is its MessagePack form, which the codec on the Lua side makes
and reads. The library does the grammar; what is decided here is what Tarantool's module prints and
accepts: number forms, escapes. Errors are raised as ValueError or TypeError.
"""

from __future__ import annotations

import binascii
import json
import math
import re
from collections.abc import Iterator
from json.encoder import encode_basestring
from typing import Any, Final

from workers.json_faults import fault
from workers.values import Map, pack, text_of_bytes, unpack

MAX_DEPTH: Final = 128


def _number_text(value: float, precision: int) -> str:
    return "nan" if math.isnan(value) else f"{value:.{precision}g}"


# JSON --------------------------------------------------------------------------------------------


def json_encode(packed: bytes, precision: float = 14, non_finite: bool = True) -> bytes:
    """A packed value as compact JSON; ``non_finite`` allows nan and inf, which are not JSON."""
    text = "".join(_json(unpack(packed), int(precision), non_finite))
    return text.encode("utf-8", "surrogateescape")


def _json(value: Any, precision: int, non_finite: bool) -> Iterator[str]:
    match value:
        case None:
            yield "null"
        case bool():
            yield "true" if value else "false"
        case int():
            yield str(value)
        case float():
            if not non_finite and not math.isfinite(value):
                raise ValueError("number must not be NaN or Inf")
            yield _number_text(value, precision)
        case str():
            yield _json_string(value)
        case bytes():
            yield _json_string(text_of_bytes(value))
        case Map():
            separator = "{"
            for key, each in value:
                yield f"{separator}{_json_key(key)}:"
                yield from _json(each, precision, non_finite)
                separator = ","
            yield "}" if value else "{}"
        case _:
            separator = "["
            for each in value:
                yield separator
                yield from _json(each, precision, non_finite)
                separator = ","
            yield "]" if value else "[]"


def _json_string(value: str) -> str:
    return encode_basestring(value).replace("/", "\\/").replace("\x7f", "\\u007f")


def _json_key(key: Any) -> str:
    if isinstance(key, bool) or not isinstance(key, int | str):
        raise TypeError("table key must be a number or string")
    return _json_string(str(key))


# nan and inf outside of strings, which the encoder writes and the library does not read
_NON_FINITE: Final = re.compile(r'("(?:[^"\\]|\\.)*")|\b(nan|inf)\b')
_LIBRARY_NAMES: Final = {"nan": "NaN", "inf": "Infinity"}


def json_decode(text: bytes, max_depth: float = MAX_DEPTH, non_finite: bool = True) -> bytes:
    """JSON text as a packed value. Integers beyond 64 bits become doubles; nan and inf are read."""
    try:
        value = _json_value(text_of_bytes(text), non_finite)
        if _is_too_deep(value, int(max_depth)):
            raise ValueError(fault(text, int(max_depth)))
        return pack(value)
    except json.JSONDecodeError as error:
        place = f"on line {error.lineno} at character {error.colno}"
        raise ValueError(fault(text, int(max_depth)) or f"{error.msg} {place}") from error
    except UnicodeEncodeError as error:  # half of a surrogate pair
        raise ValueError(fault(text, int(max_depth))) from error


def _json_value(source: str, non_finite: bool) -> Any:
    try:
        return _json_load(source, non_finite)
    except json.JSONDecodeError:
        if not non_finite or ("nan" not in source and "inf" not in source):
            raise
    return _json_load(_NON_FINITE.sub(_library_name, source), non_finite)


def _library_name(found: re.Match[str]) -> str:
    return found[1] or _LIBRARY_NAMES[found[2]]


def _json_load(source: str, non_finite: bool) -> Any:
    def constant(name: str) -> float:
        if not non_finite:
            raise ValueError(f"number must not be NaN or Inf, found {name}")
        return float(name)

    return json.loads(source, strict=False, parse_int=_integer, parse_constant=constant)


def _integer(digits: str) -> int | float:
    """An integer of at most 64 bits, else the nearest double."""
    if len(digits) > 30:
        return float(digits)
    value = int(digits)
    return value if -(2**63) <= value < 2**64 else float(value)


def _is_too_deep(value: Any, limit: int) -> bool:
    level = [value]
    depth = 0
    while level := [each for each in level if isinstance(each, dict | list)]:
        depth += 1
        if depth > limit:
            return True
        level = [
            child for each in level for child in (each.values() if isinstance(each, dict) else each)
        ]
    return False


# Base64 -------------------------------------------------------------------------------------------

_URL_TO_STANDARD: Final = bytes.maketrans(b"-_", b"+/")
_ALPHABET: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_OTHERS: Final = bytes(set(range(256)) - set(_ALPHABET))


def base64_decode(text: bytes) -> bytes:
    """Base64 of either alphabet; other characters are skipped, missing padding is no error."""
    letters = text.translate(_URL_TO_STANDARD).translate(None, _OTHERS)
    if len(letters) % 4 == 1:
        letters = letters[:-1]
    return binascii.a2b_base64(letters + b"=" * (-len(letters) % 4))
