"""Packets for applications: box.iproto.encode_packet and decode_packet."""

from __future__ import annotations

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers.engine import Client, Engine
from tests.helpers.lua import lua_function
from tests.helpers.raw import frame, pack

HEX = "local text = (...):gsub('..', function(h) return string.char(tonumber(h, 16)) end) "
DECODE = HEX + "return pcall(box.iproto.decode_packet, text)"


def test_names_of_keys_become_numbers(client: Client) -> None:
    source = """
        local e = box.iproto.encode_packet
        local function byte(c) return ('%02x'):format(c:byte()) end
        local function hex(s) return (s:gsub('.', byte)) end
        return hex(e({SYNC = 5})), hex(e({request_type = 8}, {data = {1}})),
          hex(e({sync = 5}, {error_24 = 'x'})), hex(e({[0] = 3}, {own = 1})),
          hex(e('\\130\\0\\2\\1\\3', '\\128')), hex(e('\\193', '\\130')), hex(e({sync = 1}, nil)),
          hex(e({Sync = 5})), hex(e({sync = 1}, {data = {sync = 5}}))"""
    assert client.eval(source).data == [
        "ce00000003810105",
        "ce000000078100088130" + "9101",
        "ce0000000781010581" + "31a178",
        "ce00000009" + "810003" + "81a36f776e01",
        "ce00000006820002010380",
        "ce00000002c182",
        "ce00000003810101",
        "ce0000000781a453796e6305",
        "ce0000000c81010181" + "3081a473796e6305",
    ]


def test_a_packet_and_the_next(client: Client) -> None:
    source = """
        local i = box.iproto
        local text = i.encode_packet({sync = 1, request_type = 8}, {expr = 'x', tuple = {1, 2}})
          .. i.encode_packet({sync = 2, request_type = i.type.PING})
        local header, body, pos = i.decode_packet(text)
        local ping, none, stop = i.decode_packet(text, pos)
        return header.sync, header.SYNC, header[1], header:get('sync'), header.request_type,
          body.expr, body.tuple, #body[0x21], body.nosuch, body[77],
          header:decode()[0], ping.sync, none, stop == #text + 1, {i.decode_packet(text, stop)}"""
    assert client.eval(source).data == [
        1, 1, 1, 1, 8, "x", [1, 2], 2, None, None, 8, 2, None, True, [None, 1],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("data", "missing"),
    [("", 1), ("ce", 4), ("ce0000", 2), ("05", 5), ("ce00000005", 5), ("ce0000000581", 4)],
)
def test_what_is_missing(client: Client, data: str, missing: int) -> None:
    assert client.eval(DECODE, data).data == [True, None, missing]


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("00", "invalid fixheader"),
        ("ce00000000", "invalid fixheader"),
        ("ff", "invalid fixheader"),
        ("80", "invalid fixheader"),
        ("01c1", "Invalid MsgPack - illegal code"),
        ("0381c0c1", "Invalid MsgPack - illegal code"),
        ("0281c0", "Invalid MsgPack - truncated input"),
        ("0281c0c0", "Invalid MsgPack - truncated input"),
        ("0581c0c081c0", "Invalid MsgPack - truncated input"),
        ("06dd00000002c0", "Invalid MsgPack - truncated input"),
        ("0781c0c081c0c0c0", "Invalid MsgPack - junk after input"),
    ],
)
def test_bad_packets(client: Client, data: str, text: str) -> None:
    assert client.eval(DECODE, data).data == [False, text]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ("", "Usage: box.iproto.encode_packet(header[, body])"),
        ("{}, {}, {}", "Usage: box.iproto.encode_packet(header[, body])"),
        ("123", "header must be a string or a table"),
        ("{}, 123", "body must be a string or a table"),
        ("{function() end}", "unsupported Lua type 'function'"),
        ("{}, {function() end}", "unsupported Lua type 'function'"),
    ],
)
def test_errors_of_encode(client: Client, arguments: str, text: str) -> None:
    source = f"return pcall(box.iproto.encode_packet{', ' if arguments else ''}{arguments})"
    assert client.eval(source).data == [False, text]


@pytest.mark.parametrize("arguments", ["", "{}", "123", "'', '1'", "'', 1, ''"])
def test_usage_of_decode(client: Client, arguments: str) -> None:
    source = f"return pcall(box.iproto.decode_packet{', ' if arguments else ''}{arguments})"
    text = "Usage: box.iproto.decode_packet(string[, pos])"
    assert client.eval(source).data == [False, text]


@pytest.mark.parametrize("position", ["0", "-1", "0/0", "0.5"])
def test_positions(client: Client, position: str) -> None:
    source = f"return pcall(box.iproto.decode_packet, '', {position})"
    assert client.eval(source).data == [False, "position must be greater than 0"]
    assert client.eval("return box.iproto.decode_packet('', 5)").data == [None, 5]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.integers(0, 99), inner),
    max_leaves=10,
)
PACKETS = st.tuples(
    st.dictionaries(st.integers(0, 200), VALUES),
    st.none() | st.dictionaries(st.integers(0, 200), VALUES),
)


@settings(max_examples=150, deadline=None)
@given(PACKETS, st.integers(0, 60), st.binary(max_size=5))
def test_whole_cut_and_followed(
    engine: Engine, packet: tuple[object, object], cut: int, rest: bytes
) -> None:
    decode = lua_function(
        engine.runtime,
        """local codec = require('beespace.engine.codec')
        return function(text)
          local header, body, pos = require('beespace.box.iproto').decode_packet(text)
          if header == nil then return nil, body end
          return codec.pack(header), body and codec.pack(body), pos
        end""",
    )
    header, body = packet
    data = frame(pack(header) + (pack(body) if body is not None else b""))
    again, found, position = decode(data + rest)
    assert msgpack.unpackb(again, strict_map_key=False) == header
    assert (found and msgpack.unpackb(found, strict_map_key=False)) == body
    assert position == len(data) + 1
    part = data[: min(cut, len(data) - 1)]
    nothing, missing = decode(part)
    assert nothing is None
    assert 0 < missing <= len(data) - len(part)
    assert missing == len(data) - len(part) or len(part) < 5
