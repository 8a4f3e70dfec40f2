"""The PROXY protocol, versions 1 and 2: who a proxy says its client is. Pure.

    PROXY TCP4 192.0.2.1 198.51.100.7 51234 3301 CR LF            version 1, text, up to 107 bytes
    signature | version, command | family | length | addresses | TLVs     version 2

:func:`parse` is asked with what has come so far. While the header is not whole, all of it belongs
to the header: the caller may take it from the socket. What follows the header is the client's.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final, NamedTuple

SIGNATURE: Final = b"\r\n\r\n\0\r\nQUIT\n"
LONGEST: Final = 4096
"""Bytes of a header of version 2 with its TLVs; of version 1, see below."""

_FIRST: Final = b"PROXY "
_LINE_BYTES: Final = 107
_END: Final = b"\r\n"
_PORT: Final = re.compile(r"0|[1-9][0-9]{0,4}")
_LAST_PORT: Final = 65535
_FIXED: Final = 16
"""Bytes of version 2 before the addresses."""
_VERSION, _LOCAL, _PROXY = 2, 0, 1
_UNSPECIFIED, _IPV4, _IPV6, _UNIX = range(4)
_STREAM, _LAST_TRANSPORT = 1, 2
_ADDRESSES: Final = {_UNSPECIFIED: 0, _IPV4: 12, _IPV6: 36, _UNIX: 216}
_PATH_BYTES: Final = 108


class MalformedError(Exception):
    """What came is no header."""


class Header(NamedTuple):
    """A whole header: its bytes, and the client's address text; None: as the socket says."""

    length: int
    peer: bytes | None


def parse(data: bytes) -> Header | None:
    """The header at the beginning; None while it is not whole, MalformedError when it is none."""
    if data[: len(SIGNATURE)] == SIGNATURE[: len(data)]:
        return _binary(data)
    if data[: len(_FIRST)] == _FIRST[: len(data)]:
        return _line(data)
    raise MalformedError


def _line(data: bytes) -> Header | None:
    end = data.find(_END, 0, _LINE_BYTES)
    if end < 0:
        # The last byte that fits must be the end of the line.
        if len(data) >= _LINE_BYTES:
            raise MalformedError
        return None
    try:
        words = data[len(_FIRST) : end].decode("ascii").split(" ")
    except UnicodeDecodeError as error:
        raise MalformedError from error
    length = end + len(_END)
    if words[0] == "UNKNOWN":
        return Header(length, None)
    if len(words) != 5 or words[0] not in ("TCP4", "TCP6"):
        raise MalformedError
    _, source, target, source_port, target_port = words
    kind = ipaddress.IPv4Address if words[0] == "TCP4" else ipaddress.IPv6Address
    try:
        address, _ = kind(source), kind(target)
    except ValueError as error:
        raise MalformedError from error
    _port(target_port)
    return Header(length, _text(address, _port(source_port)))


def _port(text: str) -> int:
    if not _PORT.fullmatch(text) or int(text) > _LAST_PORT:
        raise MalformedError
    return int(text)


def _binary(data: bytes) -> Header | None:
    if len(data) > len(SIGNATURE):
        version, command = divmod(data[len(SIGNATURE)], 16)
        if version != _VERSION or command not in (_LOCAL, _PROXY):
            raise MalformedError
    if len(data) < _FIXED:
        return None
    command, (family, transport) = data[12] % 16, divmod(data[13], 16)
    size = int.from_bytes(data[14:_FIXED], "big")
    if command == _PROXY:
        known = family in _ADDRESSES and transport <= _LAST_TRANSPORT
        if not known or size < _ADDRESSES[family]:
            raise MalformedError
    if _FIXED + size > LONGEST:
        raise MalformedError
    if len(data) < _FIXED + size:
        return None
    told = command == _PROXY and transport == _STREAM
    return Header(_FIXED + size, _peer(family, data[_FIXED:]) if told else None)


def _peer(family: int, data: bytes) -> bytes | None:
    """The source address, which comes first; ports come behind both addresses."""
    if family == _IPV4:
        return _text(ipaddress.IPv4Address(data[:4]), int.from_bytes(data[8:10], "big"))
    if family == _IPV6:
        return _text(ipaddress.IPv6Address(data[:16]), int.from_bytes(data[32:34], "big"))
    if family == _UNIX:
        path = data[:_PATH_BYTES]
        if path.startswith(b"\0"):
            name = path[1:].rstrip(b"\0")
            return b"unix/:@" + name if name else b"unix/:(socket)"
        return b"unix/:" + path.partition(b"\0")[0]
    return None


def _text(address: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int) -> bytes:
    """An address as ``peer`` shows it; IPv4 written as IPv6 is IPv4 again."""
    if isinstance(address, ipaddress.IPv6Address):
        # A zone says something about the proxy's machine only.
        bare = ipaddress.IPv6Address(int(address))
        if bare.ipv4_mapped is None:
            return f"[{bare}]:{port}".encode()
        address = bare.ipv4_mapped
    return f"{address}:{port}".encode()
