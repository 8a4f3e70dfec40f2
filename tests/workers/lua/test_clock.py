"""clock: which clock is which, in which unit."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.helpers.lua import make_runtime


@pytest.fixture(scope="module")
def run() -> Any:
    runtime = make_runtime()

    def execute(source: str) -> Any:
        return runtime.execute(f"local clock = require('clock') {source}")

    return execute


CLOCKS = [
    ("time", time.time),
    ("realtime", time.time),
    ("monotonic", time.monotonic),
    ("proc", time.process_time),
    ("thread", time.thread_time),
]


@pytest.mark.parametrize(("name", "clock"), CLOCKS)
def test_seconds(run: Any, name: str, clock: Any) -> None:
    before = clock()
    got = run(f"return clock.{name}()")

    assert before - 1e-6 <= got <= clock() + 1e-6


@pytest.mark.parametrize(("name", "clock"), CLOCKS)
def test_nanoseconds(run: Any, name: str, clock: Any) -> None:
    before = clock()
    text, kind = run(
        f"local t = clock.{name}64() return tostring(t), tostring(require('ffi').typeof(t))"
    )

    assert kind == b"ctype<uint64_t>"
    assert text.endswith(b"ULL")
    assert before - 1e-6 <= int(text[:-3]) / 1e9 <= clock() + 1e-6


def test_bench(run: Any) -> None:
    seconds, first, missing, last = run("""
      local r = clock.bench(function(a, b)
        local till = clock.proc() + 0.01
        while clock.proc() < till do end
        return a, nil, b
      end, 'a', 'b')
      return r[1], r[2], r[3], r[4]
    """)

    assert 0.01 <= seconds < 5
    assert (first, missing, last) == (b"a", None, b"b")


def test_an_error_passes_through_bench(run: Any) -> None:
    assert run("return pcall(clock.bench, function() error('x', 0) end)") == (False, b"x")
