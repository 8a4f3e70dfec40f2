"""LuaJIT inside Python: values in, values out, errors."""

from __future__ import annotations

from pathlib import Path

import pytest

from workers.runtime import LuaFailureError, Runtime


@pytest.fixture
def runtime() -> Runtime:
    return Runtime({"twice": lambda value: value * 2, "none": lambda: None})


def test_texts_are_bytes(runtime: Runtime) -> None:
    assert runtime.execute("return ..., #...", b"\x00\xff\xe9") == (b"\x00\xff\xe9", 3)
    assert runtime.execute("return 'caf\u00e9'") == "caf\u00e9".encode()


def test_services_are_the_bridge(runtime: Runtime) -> None:
    source = "local b = require('beespace.bridge') return b.twice('ab'), b.twice(2), b.none(), b.x"
    assert runtime.execute(source) == (b"abab", 4, None, None)


def test_a_table_has_text_keys_and_values(runtime: Runtime) -> None:
    table = runtime.table({"text": "caf\u00e9", "number": 5, "flag": True, "raw": b"\xff"})
    source = "local t = ... return t.text, t.number, t.flag, t.raw"
    assert runtime.execute(source, table) == ("caf\u00e9".encode(), 5, True, b"\xff")


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("error('plain', 0)", "plain"),
        ("local x = nil x.y = 1", "attempt to index local 'x'"),
        ("x =", "unexpected symbol"),
    ],
)
def test_errors(runtime: Runtime, source: str, text: str) -> None:
    with pytest.raises(LuaFailureError) as caught:
        runtime.execute(source)
    assert text in str(caught.value)


def test_an_error_does_not_end_the_runtime(runtime: Runtime) -> None:
    for _ in range(100):
        with pytest.raises(LuaFailureError, match="no"):
            runtime.execute("error('no')")
    assert runtime.execute("return 1") == 1


def test_runtimes_are_apart(runtime: Runtime) -> None:
    runtime.execute("shared = 1")
    assert Runtime({}).execute("return shared") is None


def test_require_gives_the_same_table(runtime: Runtime) -> None:
    first = runtime.require("beespace.engine.const")
    assert first[b"type"][b"PING"] == 64
    with pytest.raises(LuaFailureError, match="module 'nosuch' not found"):
        runtime.require("nosuch")


def test_another_root(tmp_path: Path) -> None:
    (tmp_path / "boot.lua").write_text("local root = ... return function() return root end, 1, 2")
    assert Runtime({}, root=tmp_path).require("any") == str(tmp_path).encode()


def test_a_memory_limit_is_an_error() -> None:
    limited = Runtime({}, max_memory=50 << 20)
    with pytest.raises((LuaFailureError, MemoryError)):
        limited.execute("local t = {} for k = 1, 1e8 do t[k] = ('x'):rep(1000) .. k end")


def test_versions_name_the_jit() -> None:
    assert Runtime.versions().startswith("LuaJIT 2.1")
