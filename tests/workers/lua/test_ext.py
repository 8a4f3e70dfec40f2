"""Extensions: what was valid comes back byte for byte, what is not valid is refused."""

from __future__ import annotations

import struct

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers.codec import make_codec
from workers.runtime import LuaFailureError

CODEC = make_codec()

integers = st.integers(-(2**31), 2**31 - 1).map(msgpack.packb)
wide = st.one_of(integers, st.integers(-(2**63), 2**63 - 1).map(msgpack.packb))
loose = st.one_of(wide, st.integers(-100, 100).map(lambda v: b"\xd3" + struct.pack(">q", v)))


@st.composite
def decimals(draw: st.DrawFn) -> bytes:
    digits = draw(st.text("0123456789", min_size=1, max_size=38))
    scale = draw(st.integers(len(digits) - 38, 38))
    nibbles = digits + draw(st.sampled_from("abcdef"))
    packed = msgpack.packb(scale) if draw(st.booleans()) else b"\xd1" + struct.pack(">h", scale)
    return bytes(packed + bytes.fromhex(nibbles if len(nibbles) % 2 == 0 else "0" + nibbles))


@st.composite
def datetimes(draw: st.DrawFn) -> bytes:
    epoch = draw(st.integers(-185604722870400, 185480451417600))
    tail = draw(st.tuples(st.integers(0, 10**9 - 1), st.integers(-720, 840), st.integers(0, 1024)))
    short = struct.pack("<q", epoch)
    return short if draw(st.booleans()) else short + struct.pack("<ihh", *tail)


@st.composite
def intervals(draw: st.DrawFn) -> bytes:
    pairs = draw(st.lists(st.tuples(st.integers(0, 8), loose, integers), max_size=9))
    body = b""
    for field, value, narrow in pairs:
        body += bytes([field])
        body += b"\x02" if field == 8 else narrow if field in (0, 1, 2, 7) else value
    return bytes([len(pairs)]) + body


payloads = st.one_of(
    decimals().map(lambda p: (1, p)),
    st.binary(min_size=16, max_size=16).map(lambda p: (2, p)),
    datetimes().map(lambda p: (4, p)),
    intervals().map(lambda p: (6, p)),
)


@settings(max_examples=600, deadline=None)
@given(payloads)
def test_valid_payloads_come_back_byte_for_byte(payload: tuple[int, bytes]) -> None:
    data = msgpack.packb(msgpack.ExtType(*payload))
    assert CODEC.copy(data) == data


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("c7 03 01 01 01 5c", "1.5"),
        ("d6 01 02 12 34 5c", "123.45"),
        ("c7 03 01 05 12 3d", "-0.00123"),
        ("d5 01 00 0c", "0"),
        ("d5 01 fb 1c", "100000"),
        ("d5 01 14 1c", "0.00000000000000000001"),
        ("d8 02 64 d2 2e 4d ac 92 4a 23 89 9a e5 9f 34 af 54 79",
         "64d22e4d-ac92-4a23-899a-e59f34af5479"),
        ("d7 04 00 00 00 00 00 00 00 00", "1970-01-01T00:00:00Z"),
        ("d8 04 ff ff ff ff ff ff ff ff 40 42 0f 00 b4 00 00 00",
         "1970-01-01T02:59:59.001+0300"),
        ("c7 05 06 02 00 01 01 02", "+1 years, 2 months"),
        ("d4 06 00", "0 seconds"),
        ("d6 06 01 06 ff 06"[:-3], None),
        ("c4 02 61 62", "ab"),
    ],
)  # fmt: skip
def test_texts(data: str, text: str | None) -> None:
    source = "local c, d = ... return tostring((require('beespace.engine.codec').unpack(d)))"
    if text is None:
        with pytest.raises(LuaFailureError, match="invalid MsgPack"):
            CODEC.runtime.execute(source, None, bytes.fromhex(data))
        return
    assert CODEC.runtime.execute(source, None, bytes.fromhex(data)).decode() == text
    assert CODEC.copy(bytes.fromhex(data)).hex(" ") == data


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        (1, ""), (1, "00"), (1, "c1 0c"), (1, "00 01"), (1, "00 a1 0c"), (1, "00 1a 0c"),
        (1, "27 1c"), (1, "cb 00 00 00 00 00 00 00 00 1c"), (1, "00" + "12" * 19 + "1c"),
        (1, "d0 da 1c"), (1, "cf ff ff ff ff ff ff ff ff 1c"), (1, "00" * 30 + "1c"), (1, "a1 1c"),
        (2, ""), (2, "00" * 15), (2, "00" * 17),
        (4, ""), (4, "00" * 7), (4, "00" * 12), (4, "ff" * 7 + "7f"), (4, "00" * 8 + "ff" * 8),
        (4, "00" * 8 + "00 94 35 77 00 00 00 00"), (4, "00" * 12 + "49 03 00 00"),
        (4, "00" * 12 + "2f fd 00 00"), (4, "00" * 14 + "01 04"), (4, "00" * 14 + "ff ff"),
        (6, ""), (6, "01"), (6, "01 00"), (6, "01 09 01"), (6, "00 00"), (6, "01 08 03"),
        (6, "01 00 cb 00 00 00 00 00 00 00 00"), (6, "01 00 ce ff ff ff ff"), (6, "01 03 c0"),
        (6, "01 03 cf ff ff ff ff ff ff ff ff"), (6, "02 03 01"), (6, "01 06 cd 01"),
    ],
)  # fmt: skip
def test_bad_payloads_are_refused(kind: int, payload: str) -> None:
    data = msgpack.packb(msgpack.ExtType(kind, bytes.fromhex(payload)))
    with pytest.raises(LuaFailureError, match=r"^msgpack\.decode: invalid MsgPack"):
        CODEC.copy(data)


def test_varbinary() -> None:
    source = """
    local varbinary, codec = require('varbinary'), require('beespace.engine.codec')
    local v = varbinary.new('a\\0b')
    assert(codec.pack(v) == '\\196\\3a\\0b')
    local same = codec.unpack(codec.pack(v))
    assert(type(same) == 'cdata' and #same == 3 and tostring(same) == 'a\\0b')
    assert(same == v and v == 'a\\0b' and v ~= varbinary.new('x') and v ~= nil and v ~= 5)
    assert(varbinary.is(v) and not varbinary.is('x') and #varbinary.new() == 0)
    local ok, err = pcall(varbinary.new, {})
    return err"""
    assert CODEC.runtime.execute(source) == b"Usage: varbinary.new(str)"


VALUES = [
    "require('uuid').new()",
    "require('decimal').new('1.5')",
    "require('datetime').new()",
    "require('datetime').interval.new({day = 1})",
    "require('varbinary').new('x')",
]


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize(
    "assignment",
    ["v.size = 255", "v.bytes[0] = 1", "v.bytes[1e5] = 1", "v.bytes[0] = v.bytes[1e5]",
     "v.bytes = v.bytes", "v.data[0] = 1", "v.other = 1", "v[0] = 1"],
)  # fmt: skip
def test_a_value_cannot_be_written_by_an_application(value: str, assignment: str) -> None:
    source = f"""
    local codec = require('beespace.engine.codec')
    local v = {value}
    local before = codec.pack(v)
    local ok = pcall(function() {assignment} end)
    return not ok and codec.pack(v) == before"""
    assert CODEC.runtime.execute(source) is True


@pytest.mark.parametrize("value", VALUES)
def test_no_byte_beside_a_value_can_be_read(value: str) -> None:
    source = f"""
    local codec = require('beespace.engine.codec')
    local v = {value}
    return select(2, pcall(codec.pack, {{v.bytes[1e9]}})), pcall(tonumber, v.bytes[0])"""
    text, *number = CODEC.runtime.execute(source)
    assert text == b"unsupported Lua type 'cdata'"
    assert number[0] is False or number[1] is None
