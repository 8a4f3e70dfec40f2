"""Values that come by the binary protocol, as the YAML a text console shows. Pure.

Only pushes and errors of requests are rendered here; answers are rendered by the server. What
msgpack has and YAML has not (uuid, decimal, other extensions) is shown as text. Imports YAML when
something is rendered, which most scripts never need.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any, Final

_PUSH_HEAD: Final = "%TAG !push! tag:tarantool.io/push,2018\n"
_MAP: Final = "tag:yaml.org,2002:map"
_DECIMAL, _UUID = 1, 2
_UUID_BYTES: Final = 16
_MINUS: Final = (0x0B, 0x0D)
_ENDS: Final = range(0x0A, 0x10)


class Pairs(list[tuple[Any, Any]]):
    """A map with keys that Python cannot hash."""


def mapping(pairs: Sequence[tuple[Any, Any]]) -> dict[Any, Any] | Pairs:
    """A msgpack map, whatever its keys are."""
    try:
        return dict(pairs)
    except TypeError:
        return Pairs(pairs)


def extension(code: int, data: bytes) -> str:
    """A msgpack extension as text."""
    if code == _UUID and len(data) == _UUID_BYTES:
        return str(uuid.UUID(bytes=data))
    return (_decimal(data) if code == _DECIMAL else None) or f"ext {code}: {data.hex()}"


def push(value: Any) -> bytes:
    """The document of a push."""
    return (_PUSH_HEAD + _document(value)).encode("utf-8", "surrogateescape")


def failure(text: str) -> bytes:
    """The answer that says a request has failed."""
    return _document([{"error": text}]).encode("utf-8", "surrogateescape")


def _document(value: Any) -> str:
    import yaml

    class Dumper(yaml.SafeDumper):
        def ignore_aliases(self, _data: Any) -> bool:
            return True

    Dumper.add_representer(Pairs, lambda dumper, pairs: dumper.represent_mapping(_MAP, pairs))
    try:
        text = yaml.dump(
            value,
            Dumper=Dumper,
            explicit_start=True,
            explicit_end=True,
            default_flow_style=False,
            allow_unicode=True,
            sort_keys=False,
        )
    except (yaml.YAMLError, RecursionError, UnicodeError):
        return "--- a value that cannot be shown\n...\n"
    return str(text)


def _decimal(data: bytes) -> str | None:
    """Packed decimal: how many digits are behind the point, digits two a byte, then the sign."""
    import msgpack

    unpacker = msgpack.Unpacker()
    unpacker.feed(data)
    try:
        scale = unpacker.unpack()
    except (ValueError, msgpack.UnpackException):
        return None
    digits = data[unpacker.tell() :].hex()
    if not isinstance(scale, int) or len(digits) < 2 or int(digits[-1], 16) not in _ENDS:
        return None
    sign, digits = "-" if int(digits[-1], 16) in _MINUS else "", digits[:-1]
    if not digits.isdecimal() or abs(scale) > 80:
        return None
    if scale <= 0:
        return sign + (digits.lstrip("0") or "0") + "0" * -scale
    digits = digits.rjust(scale + 1, "0")
    return f"{sign}{digits[:-scale].lstrip('0') or '0'}.{digits[-scale:]}"
