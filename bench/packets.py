"""Requests as bytes and answers as values: the little of the protocol a load generator needs.

Called by ``bench.client`` (and by nothing on the timed path: batches are made before a round,
answers are decoded before and after it).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgpack

GREETING_SIZE: Final = 128
"""Bytes every server sends first."""

TYPE_EVAL: Final = 8
TYPE_CALL: Final = 10
TYPE_PING: Final = 64

KEY_TYPE: Final = 0x00
KEY_SYNC: Final = 0x01
KEY_TUPLE: Final = 0x21
KEY_FUNCTION: Final = 0x22
KEY_EXPRESSION: Final = 0x27
KEY_DATA: Final = 0x30
KEY_ERROR: Final = 0x31

_LENGTH_SIZE: Final = 5
_LENGTH_MARK: Final = 0xCE


class AnswerError(Exception):
    """An answer that is not what the request asked for; the text says which."""


@dataclass(frozen=True)
class Answer:
    """One decoded answer."""

    code: int
    sync: int
    body: Mapping[int, Any]

    def data(self) -> Any:
        """The returned values; AnswerError with the server's text when it refused."""
        if self.code != 0:
            text = self.body.get(KEY_ERROR, "no text")
            raise AnswerError(f"the server answered with error {self.code & 0x7FFF}: {text}")
        return self.body.get(KEY_DATA)


def request(kind: int, sync: int, body: Mapping[int, Any]) -> bytes:
    """One packet: length prefix, header, body (none when it is empty)."""
    payload: bytes = msgpack.packb({KEY_TYPE: kind, KEY_SYNC: sync})
    if body:
        payload += msgpack.packb(dict(body))
    return bytes([_LENGTH_MARK]) + len(payload).to_bytes(4, "big") + payload


def answer_size(data: bytes | bytearray) -> int | None:
    """Bytes of the packet that ``data`` begins with, None when its length is not complete yet."""
    if len(data) < _LENGTH_SIZE:
        return None
    if data[0] != _LENGTH_MARK:
        raise AnswerError(f"an answer begins with byte 0x{data[0]:02x}, expected 0xce")
    return _LENGTH_SIZE + int.from_bytes(data[1:_LENGTH_SIZE], "big")


def split(data: bytes) -> Iterator[bytes]:
    """The complete packets ``data`` consists of; AnswerError when there is a rest."""
    view = data
    while view:
        size = answer_size(view[:_LENGTH_SIZE])
        if size is None or size > len(view):
            raise AnswerError(f"{len(view)} bytes are left after the last complete answer")
        yield view[:size]
        view = view[size:]


def decode(packet: bytes) -> Answer:
    """The answer in one complete packet."""
    unpacker = msgpack.Unpacker(strict_map_key=False)
    unpacker.feed(packet[_LENGTH_SIZE:])
    parts = list(unpacker)
    if not parts or not all(isinstance(part, dict) for part in parts):
        raise AnswerError(f"an answer is not made of maps: {packet.hex()}")
    header, body = parts[0], parts[1] if len(parts) > 1 else {}
    return Answer(header.get(KEY_TYPE, -1), header.get(KEY_SYNC, -1), body)
