"""The binary protocol's dialect, as much of it as a console needs. Pure.

    ours      EVAL 'return require("console").eval(...)' [statement]
    answer    OK [the rendered answer]; an error is rendered here as the console would have
    push      CHUNK [value], rendered here

Requests are told apart by their sync, and the server runs several at once. An error to no request
of ours, which a full server sends, is a no, and so is one to a login.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final

import msgpack

from server.client import render
from server.client.failures import Refused
from server.client.message import Message

EXPRESSION: Final = 'return require("console").eval(...)'

_AUTH, _EVAL = 7, 8
_TYPE, _SYNC = 0x00, 0x01
_TUPLE, _USER, _EXPRESSION, _DATA, _ERROR = 0x21, 0x23, 0x27, 0x30, 0x31
_CHUNK: Final = 0x80
_ERROR_FLAG: Final = 0x8000
_WIDTHS: Final = {0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8}
_SHORT: Final = 0x7F
_MOST: Final = 1 << 30
"""No packet is that long: what says so speaks another protocol."""

Map = dict[Any, Any]


class BinaryDialect:
    """One binary connection after its greeting."""

    parallel = True

    def __init__(self, salt: bytes) -> None:
        self._salt = salt
        self._buffer = bytearray()
        self._last = 0
        self._logins: set[int] = set()

    def login(self, user: str, password: str) -> tuple[int, bytes]:
        """Ticket and bytes of AUTH by chap-sha1."""
        proof = ["chap-sha1", scramble(self._salt, password)]
        ticket, data = self._request(_AUTH, {_USER: user, _TUPLE: proof})
        self._logins.add(ticket)
        return ticket, data

    def statement(self, text: str) -> tuple[int, bytes]:
        """Ticket and bytes of a statement, which need not be UTF-8."""
        return self._request(_EVAL, {_EXPRESSION: EXPRESSION, _TUPLE: [text]})

    def feed(self, data: bytes) -> None:
        """Take over what the server has sent."""
        self._buffer += data

    def next(self) -> Message | None:
        """The message of the next packet that has one; Refused for a no."""
        while (packet := self._packet()) is not None:
            header, body = packet
            kind, ticket = header.get(_TYPE, 0), header.get(_SYNC, 0)
            if kind & _ERROR_FLAG:
                error = str(body.get(_ERROR))
                if ticket in self._logins or not 0 < ticket <= self._last:
                    raise Refused(error)
                return Message(ticket, render.failure(error))
            data = body.get(_DATA)
            first = data[0] if isinstance(data, list) and data else None
            if kind == _CHUNK:
                return Message(ticket, render.push(first), is_push=True)
            if kind == 0:
                text = first if isinstance(first, str) else ""
                return Message(ticket, text.encode("utf-8", "surrogateescape"))
        return None

    def _request(self, kind: int, body: dict[int, Any]) -> tuple[int, bytes]:
        self._last += 1
        packer = msgpack.Packer(unicode_errors="surrogateescape")
        packet = packer.pack({_TYPE: kind, _SYNC: self._last}) + packer.pack(body)
        return self._last, b"\xce" + len(packet).to_bytes(4, "big") + packet

    def _packet(self) -> tuple[Map, Map] | None:
        buffer = self._buffer
        if not buffer:
            return None
        width = _WIDTHS.get(buffer[0], 0)
        start = 1 + width
        if len(buffer) < start:
            return None
        length = int.from_bytes(buffer[1:start], "big") if width else buffer[0]
        if length > _MOST or not (width or length <= _SHORT):
            raise Refused("the server has sent something that is no packet")
        if len(buffer) < start + length:
            return None
        whole = bytes(buffer[start : start + length])
        del buffer[: start + length]
        return _parts(whole)


def scramble(salt: bytes, password: str) -> bytes:
    """What proves the password to a server that has only the hash of its hash."""
    once = hashlib.sha1(password.encode("utf-8", "surrogateescape")).digest()
    mask = hashlib.sha1(salt + hashlib.sha1(once).digest()).digest()
    return bytes(a ^ b for a, b in zip(once, mask, strict=True))


def _parts(packet: bytes) -> tuple[Map, Map]:
    unpacker = msgpack.Unpacker(
        unicode_errors="surrogateescape",
        object_pairs_hook=render.mapping,
        ext_hook=render.extension,
        strict_map_key=False,
        max_buffer_size=_MOST,
    )
    unpacker.feed(packet)
    try:
        header = unpacker.unpack()
        body = unpacker.unpack() if unpacker.tell() < len(packet) else {}
    except (ValueError, RecursionError, msgpack.UnpackException):
        raise Refused("the server has sent a packet that cannot be read") from None
    maps = isinstance(header, dict) and isinstance(body, dict) and unpacker.tell() == len(packet)
    if not maps or not all(isinstance(header.get(key, 0), int) for key in (_TYPE, _SYNC)):
        raise Refused("the server has sent a packet that is not two maps")
    return header, body
