"""What a packet asks for, in the words of the log."""

from __future__ import annotations

import pytest

from tests.helpers.engine import Engine
from tests.helpers.raw import CALL, EVAL, PING, SELECT, pack, request
from tests.helpers.requests import evaluation

PREFIX = 5
_WORDS = """
local ffi, asked = require('ffi'), require('beespace.engine.asked')
local data, body = ...
ffi.copy(require('beespace.engine.state').input, data, #data)
local function words(kind, text) return asked.words(kind, text) end
if body >= 0 then return words(asked.body(body, #data)) end
return words(asked.packet(0, #data))
"""


def words(engine: Engine, packet: bytes, body: int = -1) -> str:
    """Of a packet without its length; of its body, when that begins at ``body``."""
    return bytes(engine.execute(_WORDS, packet, body)).decode()


LONG = "return 'a'" + " " * 90

CASES = [
    (request({0: CALL, 1: 1}, {0x22: "hello", 0x21: [1]}), "call hello"),
    (request({0: CALL, 1: 1}, {0x21: [{"a": 1}], 0x22: "hello"}), "call hello"),
    (request({1: 70000, 0: CALL, 5: 1}, {0x22: "box.session.exists", 0x21: []}), None),
    (request({0: CALL, 1: 1}, {0x22: "f" * 31, 0x21: []}), "call " + "f" * 31),
    (request({0: CALL, 1: 1}, {0x22: "f" * 32, 0x21: []}), "call " + "f" * 32),
    (request({0: CALL, 1: 1}, {0x22: "f" * 80, 0x21: []}), "call " + "f" * 80),
    (request({0: CALL, 1: 1}, {0x22: "f" * 81, 0x21: []}), "call " + "f" * 80 + "..."),
    (request({0: CALL, 1: 1}, {0x22: "f" * 70000, 0x21: []}), "call " + "f" * 80 + "..."),
    (request({0: 6, 1: 1}, {0x22: "old", 0x21: []}), "call old"),
    (evaluation(1, "return 1"), "eval return 1"),
    (evaluation(1, "return 1", stream=7), "eval return 1"),
    (evaluation(1, LONG), "eval " + LONG[:80] + "..."),
    (request({0: EVAL, 1: 1}, {0x27: "", 0x21: []}), "eval "),
]


@pytest.mark.parametrize(("packet", "expected"), CASES)
def test_calls_and_sources(engine: Engine, packet: bytes, expected: str | None) -> None:
    expected = expected or "call box.session.exists"
    assert words(engine, packet[PREFIX:]) == expected


@pytest.mark.parametrize(("packet", "expected"), CASES)
def test_the_body_alone(engine: Engine, packet: bytes, expected: str | None) -> None:
    at = next(i for i in range(PREFIX + 1, len(packet)) if packet[i] == 0x82) - PREFIX
    expected = expected or "call box.session.exists"
    assert words(engine, packet[PREFIX:], at) == expected


@pytest.mark.parametrize(
    ("packet", "expected"),
    [
        (request({0: PING, 1: 1}), "ping"),
        (request({0: SELECT, 1: 1}, {0x10: 281, 0x11: 0}), "select"),
        (request({0: 99, 1: 1}), "type 99"),
        (request({0: CALL, 1: 1}, {0x22: 5, 0x21: []}), "call "),
    ],
)
def test_other_requests(engine: Engine, packet: bytes, expected: str) -> None:
    assert words(engine, packet[PREFIX:]) == expected


def test_a_body_that_names_nothing(engine: Engine) -> None:
    assert words(engine, pack({0x10: 1}), 0) == "a request"
    assert words(engine, pack([1, 2]), 0) == "a request"
