"""The codec against forms that no encoder writes: any width, any nesting of odd values."""

from __future__ import annotations

import struct
from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz import walk
from tests.fuzz.mutate import VALUES
from tests.helpers.codec import Codec, make_codec
from tests.helpers.guard import GuardedPages
from workers.runtime import LuaFailureError

ROOM = 1 << 16


@pytest.fixture(scope="module")
def codec() -> Codec:
    return make_codec()


def head(draw: st.DrawFn, count: int, forms: list[tuple[int, str]]) -> bytes:
    """A first byte and a length in one of the forms, all of which can hold ``count``."""
    first, form = draw(
        st.sampled_from([each for each in forms if count < 1 << 8 * _width(each[1])])
    )
    return bytes([first]) + struct.pack(form, count)


def _width(form: str) -> int:
    return struct.calcsize(form)


INTEGERS = [(0xCC, ">B"), (0xCD, ">H"), (0xCE, ">I"), (0xCF, ">Q")]
TEXTS = [(0xD9, ">B"), (0xDA, ">H"), (0xDB, ">I")]
BYTES = [(0xC4, ">B"), (0xC5, ">H"), (0xC6, ">I")]
ARRAYS = [(0xDC, ">H"), (0xDD, ">I")]
MAPS = [(0xDE, ">H"), (0xDF, ">I")]


@st.composite
def wide(draw: st.DrawFn, depth: int = 0) -> bytes:
    """A value written in some form, often not the shortest one."""
    kinds = ["int", "negative", "text", "bytes", "float", "plain"]
    kind = draw(st.sampled_from(kinds + ["array", "map"] * 2 if depth < 4 else kinds))
    if kind == "int":
        return head(draw, draw(st.integers(0, 2**64 - 1)), INTEGERS)
    if kind == "negative":
        return b"\xd3" + struct.pack(">q", draw(st.integers(-(2**63), 2**63 - 1)))
    if kind in ("text", "bytes"):
        data = draw(st.text(max_size=40)).encode()
        return head(draw, len(data), TEXTS if kind == "text" else BYTES) + data
    if kind == "float":
        number = draw(st.floats(allow_nan=False, width=32))
        return draw(
            st.sampled_from(
                [b"\xca" + struct.pack(">f", number), b"\xcb" + struct.pack(">d", number)]
            )
        )
    if kind == "plain":
        return draw(
            st.sampled_from(
                [b"\xc0", b"\xc2", b"\xc3", b"\x00", b"\x7f", b"\xe0", b"\xff", b"\x80", b"\x90"]
            )
        )
    if kind == "array":
        items = draw(st.lists(wide(depth + 1), max_size=6))
        return head(draw, len(items), ARRAYS) + b"".join(items)
    keys = draw(st.lists(st.text(min_size=1, max_size=4), max_size=5, unique=True))
    pairs = [head(draw, len(k.encode()), TEXTS) + k.encode() + draw(wide(depth + 1)) for k in keys]
    return head(draw, len(keys), MAPS) + b"".join(pairs)


def value_of(data: bytes) -> Any:
    return msgpack.unpackb(data, raw=False, strict_map_key=False)


@settings(max_examples=400)
@given(data=wide())
def test_the_form_of_a_value_does_not_matter(codec: Codec, data: bytes) -> None:
    copied = codec.copy(data)
    assert value_of(copied) == value_of(data)
    assert sorted(codec.copy(copied)) == sorted(copied)  # the order of pairs is nobody's


odd = st.recursive(
    st.one_of(st.sampled_from(VALUES), wide(4)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4).map(lambda items: bytes([0x90 + len(items)]) + b"".join(items)),
        st.lists(inner, max_size=4).map(
            lambda items: bytes([0x80 + len(items) // 2]) + b"".join(items)
        ),
    ),
    max_leaves=12,
)


@settings(max_examples=400)
@given(data=odd, behind=st.binary(max_size=3))
def test_reading_and_passing_over_agree(codec: Codec, data: bytes, behind: bytes) -> None:
    """Both end at the same byte, which is where a third walk ends, and neither reads on."""
    pages = GuardedPages(len(data) + len(behind))
    address = pages.put(data + behind)
    size = len(data) + len(behind)
    try:
        end = walk.skip(data + behind, 0)
    except ValueError:
        end = -1
    passed = codec.outcome("skip_at", address, size)
    read = codec.outcome("decode_at", address, size)
    assert passed == ((b"value", end) if end >= 0 else (b"BAD", -1))
    assert read == passed if read[0] == b"value" else end < 0 or read[0] != b"BAD"


@settings(max_examples=400)
@given(data=odd)
def test_what_is_read_can_be_written(codec: Codec, data: bytes) -> None:
    """A value that decodes encodes to one that decodes to the same bytes again."""
    try:
        copied = codec.copy(data)
    except LuaFailureError:
        return
    assert walk.skip(copied, 0) == len(copied)
    assert sorted(codec.copy(copied)) == sorted(copied)  # the order of pairs is nobody's
