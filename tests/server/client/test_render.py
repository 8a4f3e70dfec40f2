"""Values of the binary protocol as YAML, and that none of them can stop the client."""

from __future__ import annotations

import uuid

import msgpack
import pytest

from server.client import render

HEAD = b"%TAG !push! tag:tarantool.io/push,2018\n"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1, b"--- 1\n...\n"),
        (None, b"--- null\n...\n"),
        ("a", b"--- a\n...\n"),
        ([1, "x"], b"---\n- 1\n- x\n...\n"),
        ({"b": 1, "a": [True]}, b"---\nb: 1\na:\n- true\n...\n"),
    ],
)
def test_a_push(value: object, text: bytes) -> None:
    assert render.push(value) == HEAD + text


def test_a_table_met_twice_is_shown_twice() -> None:
    twice = [1]
    assert render.push([twice, twice]) == HEAD + b"---\n- - 1\n- - 1\n...\n"


def test_a_map_with_a_map_as_key() -> None:
    pairs = msgpack.unpackb(
        b"\x81\x81\x01\x02\x03", object_pairs_hook=render.mapping, strict_map_key=False
    )
    assert render.push(pairs) == HEAD + b"---\n? 1: 2\n: 3\n...\n"


def test_a_failure_is_an_answer() -> None:
    assert render.failure("a: b") == b"---\n- error: 'a: b'\n...\n"


def test_what_is_too_deep_is_said() -> None:
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    assert render.push(deep) == HEAD + b"--- a value that cannot be shown\n...\n"
    while deep:  # taken apart level by level: freeing it at once would recurse
        deep = deep.pop()  # type: ignore[assignment]


DECIMALS = {
    "0": b"\x00\x0c",
    "1": b"\x00\x1c",
    "-1": b"\x00\x1d",
    "12.3": b"\x01\x12\x3c",
    "-0.05": b"\x02\x5d",
    "123.456": b"\x03\x01\x23\x45\x6c",
    "1200": b"\xfe\x01\x2c",
}


@pytest.mark.parametrize("text", DECIMALS)
def test_decimals(text: str) -> None:
    assert render.extension(1, DECIMALS[text]) == text


def test_uuids() -> None:
    one = uuid.UUID("6213b5ba-ea92-43eb-9c19-7933ca2fe1e7")
    assert render.extension(2, one.bytes) == str(one)


@pytest.mark.parametrize(
    ("code", "data"),
    [
        (1, b""),
        (1, b"\x00"),
        (1, b"\x01\xff"),
        (1, b"\xa1x\x1c"),
        (2, b"x"),
        (4, b"\x01"),
        (1, b"\xc1\x1c"),
    ],
)
def test_other_extensions_are_shown_as_they_are(code: int, data: bytes) -> None:
    assert render.extension(code, data) == f"ext {code}: {data.hex()}"
