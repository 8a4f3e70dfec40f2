"""Breaking packets: mutants of the payloads that the fuzzer starts from.

:func:`mutant` takes one payload (a packet without its length), changes it in a few ways of
:data:`WAYS`, and puts a length in front of it, nearly always the right one: then the packets behind
it stay where they are, and exactly one answer can be expected. Ways that know MessagePack work on
``walk.tokens``, the places where a value begins. Everything is decided by the ``random.Random``
handed in, so a seed tells the whole run.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Sequence
from random import Random
from typing import Final

from tests.fuzz.walk import tokens
from tests.helpers.raw import frame

DANGEROUS: Final = re.compile(rb"ffi|for |while|rep|goto|debug|os\.|io\.")
"""Words of Lua sources of which a changed copy might run for ever, or break the process rightly."""

KEYS: Final = bytes([0, 1, 5, 0x0A, 0x10, 0x12, 0x20, 0x21, 0x22, 0x23, 0x27, 0x54, 0x57, 0x58])
TYPES: Final = bytes([0, 1, 2, 6, 7, 8, 10, 11, 14, 64, 73, 74, 75, 76, 77, 0x7F])

VALUES: Final = (
    b"\xc0", b"\xc1", b"\xc2", b"\xff", b"\xd0\x80", b"\x7f", b"\xcc\xff", b"\xcd\xff\xff",
    b"\xce\xff\xff\xff\xff", b"\xcf" + b"\xff" * 8, b"\xd3\x80" + bytes(7),
    b"\xcf\x00" + b"\x01" * 7, b"\xcb\x7f\xf8" + bytes(6), b"\xcb\xff\xff" + b"\xff" * 6,
    b"\xca\x7f\xc0\x00\x00", b"\xcb" + bytes(8), b"\xa0", b"\xa2\xc3\x28", b"\xa3\xed\xa0\x80",
    b"\xd9\x00", b"\xc4\x02\x00\xff", b"\xc4\x00", b"\x80", b"\x90", b"\x91\x90",
    b"\x81\xcb\x7f\xf8" + bytes(6) + b"\x01", b"\x81\xc0\xc0", b"\x81\x90\x80",
    b"\xdd\xff\xff\xff\xff", b"\xdf\x7f\xff\xff\xff", b"\xdf\x80\x00\x00\x00",
    b"\xdb\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff", b"\xc9\xff\xff\xff\xff\x01",
    b"\xd4\x01\xff", b"\xc7\x00\x01", b"\xc7\x03\x01\x0f\x0f\x0f", b"\xc7\x02\x01\x7f\x0c",
    b"\xd8\x02" + bytes(16), b"\xc7\x01\x02\x00", b"\xc7\x02\x03\x81\x00",
    b"\xc7\x03\x03\x81\x00\xc0", b"\xd7\x04" + b"\xff" * 8, b"\xd8\x04" + b"\xff" * 16,
    b"\xc7\x01\x06\xff", b"\xc7\x03\x06\x01\x00\xcf", b"\xd4\x7f\x00", b"\xd4\x80\x00",
)  # fmt: skip
"""Values that somebody may not have thought of: every type, both ends, bad text, bad extensions."""

Way = Callable[[Random, bytes, Sequence[bytes]], bytes]


def flip_bits(random: Random, payload: bytes, _: Sequence[bytes]) -> bytes:
    changed = bytearray(payload)
    for _count in range(random.randint(1, 4)):
        if changed:
            changed[random.randrange(len(changed))] ^= 1 << random.randrange(8)
    return bytes(changed)


def set_byte(random: Random, payload: bytes, _: Sequence[bytes]) -> bytes:
    changed = bytearray(payload or b"\x00")
    value = random.choice([random.randrange(256), random.randrange(0xC0, 0xE0)])
    changed[random.randrange(len(changed))] = value
    return bytes(changed)


def truncate(random: Random, payload: bytes, _: Sequence[bytes]) -> bytes:
    return payload[: random.randint(0, len(payload))]


def cut(random: Random, payload: bytes, _: Sequence[bytes]) -> bytes:
    at = random.randint(0, len(payload))
    return payload[:at] + payload[at + random.randint(1, 8) :]


def insert(random: Random, payload: bytes, _: Sequence[bytes]) -> bytes:
    at = random.randint(0, len(payload))
    return payload[:at] + random.randbytes(random.randint(1, 8)) + payload[at:]


def splice(random: Random, payload: bytes, others: Sequence[bytes]) -> bytes:
    """The start of one packet and the end of another, each cut between two values."""
    other = random.choice(others)
    starts = [start for start, _ in tokens(payload)] or [0]
    ends = [start for start, _ in tokens(other)] or [0]
    return payload[: random.choice(starts)] + other[random.choice(ends) :]


def swap_value(random: Random, payload: bytes, _: Sequence[bytes]) -> bytes:
    return _replace(random, payload, random.choice(VALUES))


def swap_key(random: Random, payload: bytes, _: Sequence[bytes]) -> bytes:
    """A small integer, most of which are keys and request types, becomes another one."""
    small = [at for at, end in tokens(payload) if end == at + 1 and payload[at] < 0x80]
    if not small:
        return payload
    changed = bytearray(payload)
    changed[random.choice(small)] = random.choice(random.choice([KEYS, TYPES]))
    return bytes(changed)


def nest(random: Random, payload: bytes, _: Sequence[bytes]) -> bytes:
    """A value becomes a deep one, whose innermost may be missing."""
    level = random.choice(
        [b"\x91", b"\x81\x00", b"\x81", b"\xdc\x00\x01", b"\xdf\x00\x00\x00\x01\x01"]
    )
    depth = random.choice([10, 127, 128, 129, 1000, 5000])
    return _replace(random, payload, level * depth + random.choice([b"", b"\x00", b"\xc1"]))


def miscount(random: Random, payload: bytes, _: Sequence[bytes]) -> bytes:
    """The head of a container tells another number."""
    heads = [t for t in tokens(payload) if payload[t[0]] in range(0x80, 0xA0) or t[1] - t[0] > 1]
    if not heads:
        return payload
    at, _end = random.choice(heads)
    changed = bytearray(payload)
    if 0x80 <= changed[at] < 0xA0:
        changed[at] = (changed[at] & 0xF0) | random.randrange(16)
    else:
        changed[at + 1] = random.choice([0, 1, 0x7F, 0x80, 0xFF])
    return bytes(changed)


def repeat(random: Random, payload: bytes, _: Sequence[bytes]) -> bytes:
    """A value once more, or many times."""
    found = tokens(payload)
    if not found:
        return payload
    at, end = random.choice(found)
    return payload[:end] + payload[at:end] * random.choice([1, 2, 50]) + payload[end:]


def _replace(random: Random, payload: bytes, value: bytes) -> bytes:
    found = tokens(payload)
    if not found:
        return value
    at, end = random.choice(found)
    return payload[:at] + value + payload[end:]


WAYS: Final[tuple[Way, ...]] = (
    flip_bits, set_byte, truncate, cut, insert, splice, swap_value, swap_value, swap_key, swap_key,
    nest, miscount, repeat,
)  # fmt: skip


def lying_length(random: Random, size: int) -> bytes:
    """A length in any form that is not, or only by chance, the right one."""
    claim = random.choice(
        [0, 1, size - 1, size + 1, size * 2, 127, 128, 65535, 65536, 2**31, 2**32 - 1, 2**64 - 1]
    )
    return length(random, max(claim, 0)) if random.random() < 0.9 else random.choice(VALUES)


def length(random: Random, size: int) -> bytes:
    """A length in one of the forms that can hold it."""
    forms = [(0x80, b"", ">B"), (2**8, b"\xcc", ">B"), (2**16, b"\xcd", ">H"),
             (2**32, b"\xce", ">I"), (2**64, b"\xcf", ">Q")]  # fmt: skip
    _, head, form = random.choice([each for each in forms if size < each[0]])
    return head + struct.pack(form, size)


def mutant(random: Random, payloads: Sequence[bytes]) -> bytes:
    """A packet made of one of ``payloads``; one in five lies about its length."""
    while True:
        payload = random.choice(payloads)
        for _ in range(random.choice([1, 1, 1, 2, 3])):
            payload = random.choice(WAYS)(random, payload, payloads)
        if not DANGEROUS.search(payload):
            break
    if random.random() < 0.2:
        return lying_length(random, len(payload)) + payload
    if random.random() < 0.2:
        return length(random, len(payload)) + payload
    return frame(payload)


def pieces(random: Random, data: bytes) -> list[bytes]:
    """The data as it may arrive: mostly whole, sometimes in up to five pieces, or byte by byte."""
    chance = random.random()
    if chance < 0.7:
        return [data]
    if chance < 0.95 or len(data) > 60:
        cuts = sorted(random.randint(0, len(data)) for _ in range(random.randint(1, 4)))
        parts = [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]
        return [part for part in parts if part]
    return [data[at : at + 1] for at in range(len(data))]
