"""log and print: what reaches the bridge."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

from tests.helpers.lua import make_runtime
from workers import bridge

Line = tuple[str, bytes, int, bytes | None]


class Sink:
    """Lines as the bridge receives them."""

    def __init__(self) -> None:
        self.level = b"info"
        self.lines: list[Line] = []
        services = bridge.make_services(bridge.Context(version="1"))
        self._runtime = make_runtime({**services, "log": self._log, "log_level": self._set})

    def _log(self, level: bytes, text: bytes, session: float, name: bytes | None) -> None:
        self.lines.append((level.decode(), text, int(session), name))

    def _set(self, level: bytes | None = None) -> bytes:
        self.level = level or self.level
        return self.level

    def run(self, source: str) -> Any:
        return self._runtime.execute(f"local log = require('log') {source}")


@pytest.fixture
def sink() -> Sink:
    return Sink()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ("'x %d %s', 1, 'y'", b"x 1 y"),
        ("'100%'", b"100%"),
        ("'a\\0b'", b"a\0b"),
        ("{1, 2}", b"[1,2]"),
        ("{a = {b = 1}}", b'{"a":{"b":1}}'),
        ("nil", b"nil"),
        ("", b"nil"),
        ("5", b"5"),
        ("true", b"true"),
        ("1ULL", b"1ULL"),
        ("require('beespace.box.error').api.new(45, 'bob')", b"User 'bob' is not found"),
    ],
)
def test_texts(sink: Sink, arguments: str, text: bytes) -> None:
    sink.run(f"log.info({arguments})")

    assert sink.lines == [("info", text, 0, None)]


def test_a_bad_format_is_the_callers_error(sink: Sink) -> None:
    ok, text = sink.run("return pcall(loadstring(\"require('log').info('%d', 'x')\", '=eval'))")

    assert not ok
    assert text.startswith(b"bad argument #2 to ")
    assert sink.lines == []


def test_levels(sink: Sink) -> None:
    calls = "log.error('a') log.warn('b') log.info('c') log.verbose('d') log.debug('e')"
    sink.run(calls)
    assert [level for level, *_ in sink.lines] == ["error", "warn", "info"]

    sink.lines.clear()
    sink.run(f"log.level('debug') {calls} assert(log.level() == 7)")
    assert [level for level, *_ in sink.lines] == ["error", "warn", "info", "verbose", "debug"]

    sink.lines.clear()
    sink.run(f"log.level(2) {calls}")
    assert (sink.level, [level for level, *_ in sink.lines]) == (b"error", ["error"])


@pytest.mark.parametrize("level", ["'loud'", "0/0", "nil", "{}"])
def test_a_bad_level(sink: Sink, level: str) -> None:
    ok, text = sink.run(f"return pcall(log.level, {level})")

    assert not ok
    assert b"expected a number or a name, got " in text


@pytest.mark.parametrize(
    ("given", "level"), [("99", 7), ("-1", 0), ("5.9", 5), ("1/0", 7), ("-1/0", 0), ("4", 4)]
)
def test_numbers_beyond_the_levels_are_clamped(sink: Sink, given: str, level: int) -> None:
    assert sink.run(f"log.level({given}) return log.level()") == level


def test_pid_and_rotate(sink: Sink) -> None:
    assert sink.run("return log.pid()") == os.getpid()
    assert sink.run("return select('#', log.rotate())") == 0


def test_the_format_cannot_be_changed(sink: Sink) -> None:
    assert sink.run("return select('#', log.log_format('plain'))") == 0
    assert sink.run("return select(2, pcall(log.log_format, 'json'))") == (
        b"log.log_format: the format is 'plain' and cannot be changed to 'json'"
        b" while the server runs"
    )
    assert sink.run("return select(2, pcall(log.log_format, 'xml'))") == (
        b"log.log_format: expected 'plain' or 'json', got 'xml'"
    )


def test_the_session_and_the_module_go_along(sink: Sink) -> None:
    sink.run("""
      require('beespace.engine.state').cur.id = 70368744177665
      log.new('shop').warn('sold %d', 3)
      require('beespace.engine.state').cur.id = 0
      log.warn('closed')
    """)

    assert sink.lines == [
        ("warn", b"sold 3", 70368744177665, b"shop"),
        ("warn", b"closed", 0, None),
    ]


def test_the_name_of_a_module_is_a_text(sink: Sink) -> None:
    ok, text = sink.run("return pcall(log.new, 5)")

    assert not ok
    assert text.endswith(b"log.new(name): expected a string, got number")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ("", b""),
        ("'100%d'", b"100%d"),
        ("1, nil, 'x', nil", b"1\tnil\tx\tnil"),
        ("setmetatable({}, {__tostring = function() return 'own' end})", b"own"),
    ],
)
def test_print(sink: Sink, arguments: str, text: bytes) -> None:
    sink.run(f"require('beespace.box.print')({arguments})")

    assert sink.lines == [("info", text, 0, None)]


def test_nothing_is_formatted_below_the_level(sink: Sink) -> None:
    counted: Callable[[str], Any] = sink.run
    assert (
        counted("""
      local calls = 0
      log.debug(setmetatable({}, {__tostring = function() calls = calls + 1 return '' end}))
      return calls
    """)
        == 0
    )
    assert sink.lines == []
