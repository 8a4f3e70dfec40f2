"""Decoding: types of Lua values, bounds, depth; every outcome is a value or BAD, never a fault."""

from __future__ import annotations

import struct

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers.codec import make_codec
from tests.helpers.guard import GuardedPages

CODEC = make_codec()
PAGES = GuardedPages(1 << 16)

DESCRIBE = CODEC.runtime.execute(
    """
    local codec = require('beespace.engine.codec')
    local function describe(v)
      local kind = type(v)
      if kind == 'string' then return 'string:' .. v end
      if kind == 'table' then
        local parts = {}
        for k, each in pairs(v) do parts[#parts + 1] = describe(k) .. '=' .. describe(each) end
        table.sort(parts)
        return getmetatable(v).__serialize .. '{' .. table.concat(parts, ',') .. '}'
      end
      return kind .. ':' .. tostring(v)
    end
    return function(data) return describe((codec.unpack(data))) end
    """
)


def described(data: bytes) -> str:
    """The Lua value of MessagePack as type and text."""
    return bytes(CODEC.runtime.call(DESCRIBE, data)).decode("latin1")


@pytest.mark.parametrize(
    ("data", "value"),
    [
        ("c0", "cdata:cdata<void *>: NULL"),
        ("c2", "boolean:false"),
        ("c3", "boolean:true"),
        ("00", "number:0"),
        ("7f", "number:127"),
        ("e0", "number:-32"),
        ("ff", "number:-1"),
        ("cc ff", "number:255"),
        ("cd ff fe", "number:65534"),
        ("ce ff ff ff fe", "number:4294967294"),
        ("cf 00 00 5a f3 10 7a 3f ff", "number:99999999999999"),
        ("cf 00 00 5a f3 10 7a 40 00", "cdata:100000000000000ULL"),
        ("cf 00 00 80 00 00 00 00 00", "cdata:140737488355328ULL"),
        ("cf ff ff ff ff ff ff ff ff", "cdata:18446744073709551615ULL"),
        ("d0 80", "number:-128"),
        ("d0 7f", "number:127"),
        ("d1 80 00", "number:-32768"),
        ("d2 80 00 00 00", "number:-2147483648"),
        ("d3 ff ff a5 0c ef 85 c0 01", "number:-99999999999999"),
        ("d3 ff ff a5 0c ef 85 c0 00", "cdata:-100000000000000LL"),
        ("d3 80 00 00 00 00 00 00 00", "cdata:-9223372036854775808LL"),
        ("d3 7f ff ff ff ff ff ff ff", "cdata:9223372036854775807LL"),
        ("ca 3f c0 00 00", "number:1.5"),
        ("ca 7f 80 00 00", "number:inf"),
        ("cb bf f8 00 00 00 00 00 00", "number:-1.5"),
        ("cb ff f0 00 00 00 00 00 00", "number:-inf"),
        ("a0", "string:"),
        ("a2 00 ff", "string:\x00\xff"),
        ("d9 01 61", "string:a"),
        ("da 00 01 61", "string:a"),
        ("db 00 00 00 01 61", "string:a"),
        ("90", "seq{}"),
        ("80", "map{}"),
        ("92 01 c0", "seq{number:1=number:1,number:2=cdata:cdata<void *>: NULL}"),
        ("81 01 02", "map{number:1=number:2}"),
        ("81 c0 02", "map{cdata:cdata<void *>: NULL=number:2}"),
        ("82 01 02 01 03", "map{number:1=number:3}"),
        ("81 c3 91 01", "map{boolean:true=seq{number:1=number:1}}"),
        ("82 cb 7f f8 00 00 00 00 00 00 02 01 05", "map{number:1=number:5}"),
    ],
)
def test_values(data: str, value: str) -> None:
    assert described(bytes.fromhex(data)) == value


@pytest.mark.parametrize("tag", range(0x7FF0, 0x8000))
@pytest.mark.parametrize("sign", [0, 0x8000])
def test_no_nan_of_the_wire_becomes_another_lua_value(tag: int, sign: int) -> None:
    double = b"\xcb" + struct.pack(">HHI", sign | tag, 0x1234, 0xFFFFFFFF)
    single = b"\xca" + struct.pack(">HH", sign | 0x7F80 | (tag & 0xF), 0xFFFF)
    for data in (double, single):
        assert described(data) == "number:nan"
        assert CODEC.copy(data) == b"\xcb\xff\xf8" + bytes(6)


def both(data: bytes) -> tuple[tuple[bytes, int], tuple[bytes, int]]:
    """Outcomes of decode and skip of bytes before the guard page."""
    address = PAGES.put(data)
    return (
        CODEC.outcome("decode_at", address, len(data)),
        CODEC.outcome("skip_at", address, len(data)),
    )


def nested(depth: int) -> bytes:
    return b"\x91" * depth + b"\x01"


def test_depth() -> None:
    assert both(nested(128)) == ((b"value", 129), (b"value", 129))
    assert both(nested(129)) == ((b"BAD", -1), (b"value", 130))
    assert both(b"\x81\x01" * 129 + b"\x01")[0] == (b"BAD", -1)


@pytest.mark.parametrize(
    "data",
    [
        "", "c1", "91", "91 c1", "81", "81 01", "a1", "cc", "cd 00", "ce 00 00 00", "cf", "d0",
        "d9", "d9 01", "da 00", "db 00 00 00", "dc", "dc 00", "dc 00 01", "dd ff ff ff ff",
        "dd ff ff ff ff 00", "df ff ff ff ff 00 00", "de 00 01 00", "de 80 00 00 00",
        "c4", "c4 01", "c5 00", "c6 ff ff ff ff", "c7", "c7 00", "c7 01 02", "c8 00", "c9 ff",
        "c9 ff ff ff ff 01", "d4", "d4 02", "d8 02 00", "ca 00", "cb 00 00 00 00 00 00 00",
    ],
)  # fmt: skip
def test_short_and_reserved_is_bad(data: str) -> None:
    assert both(bytes.fromhex(data)) == ((b"BAD", -1), (b"BAD", -1))


@pytest.mark.parametrize(
    ("data", "number"), [("d4 07 00", 7), ("d4 ff 00", -1), ("c7 00 80", -128)]
)
def test_unknown_extension(data: str, number: int) -> None:
    text = f"msgpack.decode: unsupported extension: {number}".encode()
    assert both(bytes.fromhex(data)) == ((text, -1), (b"value", len(bytes.fromhex(data))))


plain = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**63), 2**64 - 1),
        st.floats(),
        st.binary(max_size=20),
        st.text("ab", max_size=40),
        st.builds(msgpack.ExtType, st.sampled_from([1, 2, 4, 6, 9]), st.binary(max_size=20)),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=6), st.dictionaries(st.text("abc", max_size=4), inner, max_size=6)
    ),
    max_leaves=25,
)
changes = st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=4)


@settings(max_examples=1500, deadline=None)
@given(plain, changes, st.integers(0, 400))
def test_damaged_packets_before_a_guard_page(
    value: object, edits: list[tuple[int, int]], cut: int
) -> None:
    data = bytearray(msgpack.packb(value))
    for at, byte in edits:
        data[at % len(data)] = byte
    damaged = bytes(data[: max(1, len(data) - cut % len(data))])
    decoded, skipped = both(damaged)
    assert decoded[0] in (b"value", b"BAD") or decoded[0].startswith(b"msgpack.decode: ")
    if decoded[0] == b"value":
        assert skipped == decoded
    elif decoded[0] == b"BAD":
        # An extension that decode refuses may hide what skip finds later, never the reverse.
        assert skipped[0] == b"BAD"


@settings(max_examples=1500, deadline=None)
@given(st.binary(min_size=1, max_size=40))
def test_random_bytes_before_a_guard_page(data: bytes) -> None:
    decoded, skipped = both(data)
    if decoded[0] in (b"value", b"BAD"):
        assert skipped == decoded
