"""The length in front of a packet: every form, whole and cut short."""

from __future__ import annotations

import pytest

from tests.helpers.engine import Engine

READ = """
local ffi = require('ffi')
local framing = require('beespace.engine.framing')
local text, left = ...
ffi.copy(require('beespace.engine.state').input, text, #text)
return framing.read_length(0, left)
"""
BROKEN, SHORT = -2, -1


@pytest.mark.parametrize(
    ("prefix", "length"),
    [
        ("05", 5),
        ("7f", 127),
        ("cc ff", 255),
        ("cd 01 00", 256),
        ("ce 00 01 00 00", 65536),
        ("cf 00 00 00 01 00 00 00 02", 2**32 + 2),
    ],
)
def test_every_unsigned_form(engine: Engine, prefix: str, length: int) -> None:
    data = bytes.fromhex(prefix)
    assert engine.execute(READ, data, len(data)) == (length, len(data))
    for cut in range(1, len(data)):
        assert engine.execute(READ, data, cut)[0] == SHORT


@pytest.mark.parametrize(
    "first", [0x80, 0x90, 0xA0, 0xC0, 0xC4, 0xCA, 0xD0, 0xD9, 0xDF, 0xE0, 0xFF]
)
def test_anything_else_is_broken(engine: Engine, first: int) -> None:
    assert engine.execute(READ, bytes([first]), 1)[0] == BROKEN


def test_the_claim_is_told_exactly(engine: Engine) -> None:
    text = """
        local ffi = require('ffi')
        local bytes = ...
        ffi.copy(require('beespace.engine.state').input, bytes, #bytes)
        return require('beespace.engine.framing').claimed(0, #bytes)"""
    assert engine.execute(text, b"\xcf" + b"\xff" * 8) == b"18446744073709551615"
    assert engine.execute(text, b"\xce\xff\xff\xff\xff") == b"4294967295"
