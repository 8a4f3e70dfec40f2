"""The codec as a whole: against PyPI msgpack, and the scratch buffer of pack."""

from __future__ import annotations

import math
from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers.codec import Codec, make_codec
from workers.runtime import LuaFailureError

CODEC = make_codec()

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False).filter(lambda v: v != int(v) if math.isfinite(v) else True),
    st.text(max_size=40).map(lambda text: text.encode("utf-8", "surrogatepass").decode("latin1")),
    st.binary(max_size=300),
    st.uuids().map(lambda value: msgpack.ExtType(2, value.bytes)),
)
# Lua folds equal numbers into one key and cannot fold cdata: keys are texts and small integers.
keys = st.one_of(st.text("abcdef", max_size=5), st.integers(-1000, 1000))
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=20), st.dictionaries(keys, inner, max_size=20)
    ),
    max_leaves=60,
)


def unpack(data: bytes) -> Any:
    """PyPI msgpack's reading, with any key."""
    return msgpack.unpackb(data, strict_map_key=False)


@settings(max_examples=400, deadline=None)
@given(values)
def test_values_of_pypi_msgpack_survive(value: Any) -> None:
    packed = msgpack.packb(value)
    assert unpack(CODEC.copy(packed)) == value


@settings(max_examples=200, deadline=None)
@given(values)
def test_encoding_is_stable_and_smallest(value: Any) -> None:
    once = CODEC.copy(msgpack.packb(value))
    assert unpack(CODEC.copy(once)) == unpack(once)
    assert len(once) <= len(msgpack.packb(value))


@pytest.mark.parametrize("size", [31, 32, 255, 256, 65535, 65536, 3_000_000])
def test_text_and_bytes_of_every_header(size: int) -> None:
    for value in ("x" * size, b"y" * size):
        assert CODEC.copy(msgpack.packb(value)) == msgpack.packb(value)


@pytest.mark.parametrize("size", [15, 16, 65535, 65536])
def test_containers_of_every_header(size: int) -> None:
    row = list(range(size))
    assert CODEC.copy(msgpack.packb(row)) == msgpack.packb(row)
    table = {f"k{k}": k for k in row}
    assert unpack(CODEC.copy(msgpack.packb(table))) == table


def test_pack_inside_pack_does_not_disturb_the_outer_value() -> None:
    source = """
    local codec = require('beespace.engine.codec')
    local inner = setmetatable({}, {__serialize = function() return codec.pack({7, 8}) end})
    return {'before', inner, 'after'}"""
    outer = msgpack.unpackb(CODEC.pack(source), raw=True)
    assert outer == [b"before", b"\x92\x07\x08", b"after"]


def test_a_failed_pack_leaves_the_next_one_alone() -> None:
    assert CODEC.error("return {1, print}") == "unsupported Lua type 'function'"
    assert CODEC.pack("return {1, 2}") == b"\x92\x01\x02"


def test_scratch_buffer_is_given_back_after_a_large_value() -> None:
    fresh = make_codec()
    small = _memory(fresh)
    assert len(fresh.copy(msgpack.packb(b"z" * 20_000_000))) == 20_000_005
    assert _memory(fresh) - small < 4_000_000


def _memory(codec: Codec) -> int:
    return int(codec.runtime.execute("collectgarbage() collectgarbage() return gcinfo() * 1024"))


@pytest.mark.parametrize(
    ("data", "text"),
    [(b"\xc1", "msgpack.decode: invalid MsgPack"), (b"", "msgpack.decode: invalid MsgPack")],
)
def test_unpack_raises_texts(data: bytes, text: str) -> None:
    with pytest.raises(LuaFailureError, match=text):
        CODEC.copy(data)
    with pytest.raises(LuaFailureError, match=text):
        CODEC.runtime.call(CODEC.functions[b"pass"], data)


def test_limits_are_put_back() -> None:
    runtime = make_codec().runtime
    source = """
    local put = require('beespace.engine.put')
    local codec = require('beespace.engine.codec')
    put.limits.cap = 77
    codec.pack({1, 2})
    pcall(codec.pack, print)
    codec.warm_up()
    return put.limits.cap"""
    assert runtime.execute(source) == 77
