"""Environment, source files and dostring, as Tarantool 2.6 has them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.engine import Engine
from tests.helpers.library import differences, recorded
from workers.runtime import LuaFailureError


def test_as_tarantool(engine: Engine) -> None:
    assert differences(engine, recorded("process")) == {}


@pytest.mark.parametrize("call", ["os.setenv()", "os.setenv('a=b', 'c')", "os.setenv('', 'c')"])
def test_a_variable_has_a_name(engine: Engine, call: str) -> None:
    with pytest.raises(LuaFailureError, match="the name of a variable expected"):
        engine.execute(f"local result = {call}")


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ("os.setenv('A', {})", "a text expected as value, got table"),
        ("dostring()", "a text expected, got nil"),
    ],
)
def test_other_values_are_refused(engine: Engine, call: str, words: str) -> None:
    with pytest.raises(LuaFailureError, match=words):
        engine.execute(f"local result = {call}")


def test_the_source_of_the_caller(engine: Engine, tmp_path: Path) -> None:
    file = tmp_path / "app.lua"
    file.write_text("return debug.sourcefile(), debug.sourcedir(), (debug.sourcedir(0))")

    found = engine.execute("local a, b, c = dofile(...) return a, b, c", str(file).encode())

    assert [text.decode() for text in found] == [str(file), str(tmp_path), str(tmp_path)]
