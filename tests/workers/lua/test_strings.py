"""What the string library has besides Lua's own, as Tarantool 2.6 has it."""

from __future__ import annotations

from tests.helpers.engine import Engine
from tests.helpers.library import differences, recorded


def test_as_tarantool(engine: Engine) -> None:
    assert differences(engine, recorded("strings")) == {}


def test_an_empty_separator_blames_the_caller(engine: Engine) -> None:
    source = "return pcall(loadstring([[local pieces = ('a'):split('')]], '=e'))"

    assert engine.execute(source) == (
        False,
        b"e:1: bad argument #2 to 'string.split' (non-empty string expected, got empty string)",
    )


def test_a_tail_is_a_text(engine: Engine) -> None:
    source = "return pcall(string.endswith, 'abc', 5)"

    assert engine.execute(source) == (
        False,
        b"bad argument #2 to 'string.endswith' (string expected, got number)",
    )
