"""The client's own questions, asked of the Lua that the workers run."""

from __future__ import annotations

from typing import Any

import lupa.luajit21 as lupa
import pytest

from server.client import questions


@pytest.fixture(scope="module")
def lua() -> Any:
    return lupa.LuaRuntime(encoding=None)


def ask(lua: Any, expression: str) -> bytes | None:
    """The value, through an answer of each form that a console may give."""
    statement = questions.statement(expression)
    assert "\n" not in statement
    value = lua.execute(b"return " + statement.encode("utf-8", "surrogateescape"))
    forms = (b"---\n- %s\n...\n", b'"%s";', b"---\n- worker 0:\n  - %s\n- worker 1:\n  - x\n...\n")
    found = {questions.answer(form % (value or b"false")) for form in forms}
    assert len(found) == 1
    return found.pop()


@pytest.mark.parametrize("text", ["", "a", 'a"b\\c\n\r\0d', "é€\U0001f600", "\udcff\x7f", "%s %d"])
def test_a_text_arrives_as_it_is(lua: Any, text: str) -> None:
    assert ask(lua, questions.quoted(text)) == text.encode("utf-8", "surrogateescape")


def test_an_error_is_no_answer(lua: Any) -> None:
    assert ask(lua, "error('x')") is None
    assert questions.answer(b"---\n- error: unknown x or hex_\n...\n") == b""
    assert questions.answer(b"---\n- error: 'Execute access denied'\n...\n") is None


SPLITS = {
    "1": ["1"],
    "1 +": ["1 +"],
    "for i = 1, 2 do": [],
    "for i = 1, 2 do\n  print(i)\nend": ["for i = 1, 2 do\n  print(i)\nend"],
    "a = 1\nb = 2": ["a = 1", "b = 2"],
    "a = 1\nif a then": ["a = 1"],
    "f(\n1)\n\n2": ["f(\n1)", "", "2"],
    "[[a\nb]]": ["[[a\nb]]"],
    "'a\nb'": ["'a\nb'"],
    "\\set output lua\n1": ["\\set output lua", "1"],
    "--[[ a\nb ]] 1": ["--[[ a\nb ]] 1"],
    "x = {\n'é',\n}\nx": ["x = {\n'é',\n}", "x"],
    "": [""],
}


@pytest.mark.parametrize("text", SPLITS)
def test_statements_end_where_tarantool_ends_them(lua: Any, text: str) -> None:
    ends = ask(lua, questions.ends_of_statements(text))
    assert ends is not None
    data, found, start = text.encode(), [], 0
    for end in map(int, ends.split()):
        found.append(data[start:end].decode())
        start = end + 1
    assert found == SPLITS[text]


def test_completions_are_those_of_the_console(lua: Any) -> None:
    handler = b"package.loaded.console = {completion_handler = function(text, from, to) "
    lua.execute(
        handler + b"assert(from == 0 and to == #text) return {text, text .. '.b', 'c d'} end}"
    )
    assert ask(lua, questions.completions("é")) == "é\né.b\nc d".encode()
    lua.execute(b"package.loaded.console = {completion_handler = function() end}")
    assert ask(lua, questions.completions("a")) == b""
