"""Answers byte by byte."""

from __future__ import annotations

from typing import Any

import pytest

from tests.helpers.engine import Engine

BYTES = """
local ffi = require('ffi')
local reply = require('beespace.engine.reply')
local o = ffi.new('uint8_t[?]', 4096)
local function text(w) return ffi.string(o, w) end
"""


def made(engine: Engine, source: str, *arguments: Any) -> str:
    return bytes(engine.execute(BYTES + source, *arguments)).hex(" ")


def test_the_head_and_the_length(engine: Engine) -> None:
    source = """
        local w = reply.begin(o, 0, 0x0807060504030201ULL)
        o[w] = 0x80
        return text(reply.finish(o, 0, w + 1))"""
    assert made(engine, source) == (
        "ce 00 00 00 18 83 00 ce 00 00 00 00 01 cf 01 02 03 04 05 06 07 08 05 ce 00 00 00 01 80"
    )


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ("", "81 30 dd 00 00 00 00"),
        ("nil", "81 30 dd 00 00 00 01 c0"),
        ("1", "81 30 dd 00 00 00 01 01"),
        ("1, 2", "81 30 dd 00 00 00 02 01 02"),
        ("1, nil, 3", "81 30 dd 00 00 00 03 01 c0 03"),
        ("1, 'a', {}, {a = true}", "81 30 dd 00 00 00 04 01 a1 61 90 81 a1 61 c3"),
    ],
)
def test_results(engine: Engine, values: str, expected: str) -> None:
    count = f"select('#'{', ' if values else ''}{values})"
    source = f"return text(reply.results(o, 0, {count}{', ' if values else ''}{values}))"
    assert made(engine, source) == expected


def test_an_error(engine: Engine) -> None:
    source = "return text(reply.fail(o, 0, 0, 'x'))"
    assert made(engine, source) == (
        "ce 00 00 00 3f 83 00 ce 00 00 80 20 01 cf 00 00 00 00 00 00 00 00 05 ce 00 00 00 01 "
        "82 31 a1 78 52 81 00 91 86 00 ab 4c 75 61 6a 69 74 45 72 72 6f 72 02 ce ff ff ff ff "
        "01 a3 5b 43 5d 03 a1 78 04 00 05 20"
    )


def test_a_failed_answer_leaves_no_trace(engine: Engine) -> None:
    with engine.connect() as client:
        for value in ("print", "{{{print}}}", "coroutine.create(print)"):
            answer = client.eval(f"return ('x'):rep(100000), {value}")
            assert answer.code == 32
            assert answer.text.startswith("unsupported Lua type")
        assert client.in_step()


def test_an_answer_beyond_the_limit() -> None:
    with Engine(warm=False) as engine, engine.connect() as client:
        engine.execute("require('beespace.engine.encode').limits.cap = 2000000")
        for size, code in ((1_999_000, 0), (2_000_001, 32)):
            answer = client.eval("return ('x'):rep(...)", size)
            assert answer.code == code
        assert client.in_step()
