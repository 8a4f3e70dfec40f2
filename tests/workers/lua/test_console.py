"""Consoles: how a statement is compiled, run and answered, and what cannot be answered."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.helpers.engine import Client, Engine
from tests.helpers.requests import evaluation

EVAL = "return require('console').eval(...)"

Ask = Callable[..., str]


@pytest.fixture
def ask(client: Client) -> Ask:
    """One statement of the session's console; its answer."""

    def answer(line: str | bytes) -> str:
        (text,) = client.eval("return require('console').eval(...)", line).data
        return text if isinstance(text, str) else text.decode("latin-1")

    return answer


@pytest.mark.parametrize(
    ("line", "rows"),
    [
        ("1 + 1", ["- 2"]),
        ("1;", ["- 1"]),
        ("return 1, 2", ["- 1", "- 2"]),
        ("--[[ c ]] 1", ["- 1"]),
        ("nil", ["- null"]),
        ("1, nil", ["- 1", "- null"]),
        ("select('#', ...)", ["- 0"]),
        ("local a = 5; return a", ["- 5"]),
        ("goto", ["- null"]),
        ("", []),
        (";", []),
        ("-- c", []),
        ("#!/x", []),
        ("...", []),
        ("local f", []),
        (" \treturn 7", ["- 7"]),
        ("return--x", []),
        ("if true then return 5 end", ["- 5"]),
        ("do return 1 end", ["- 1"]),
        ("for i = 1, 2 do return i end", ["- 1"]),
        ("while true do return 2 end", ["- 2"]),
        ("repeat return 3 until false", ["- 3"]),
        ("returned", ["- null"]),
        ("do_it", ["- null"]),
        ("for1", ["- null"]),
        ("returné", ["- null"]),
    ],
)
def test_values_of_a_statement(ask: Ask, line: str, rows: list[str]) -> None:
    assert ask(line) == "\n".join(["---", *rows, "...", ""])


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("error('x')", "x"),
        ("1 +", "'[string \"1 +\"]:1: unexpected symbol near ''1'''"),
        ("1; 2", "'[string \"1; 2\"]:1: unexpected symbol near ''1'''"),
        ("= 1", "' 1:1: unexpected symbol near ''='''"),
        ("1 \0", "'[string \"1 \"]:1: unexpected symbol near ''1'''"),
        ("local a; error('x')", "'[string \"local a; error(''x'')\"]:1: x'"),
        ("(1)()", "'[string \"return (1)()\"]:1: attempt to call a number value'"),
        ("string.rep()", "'bad argument #1 to ''?'' (string expected, got no value)'"),
        (" \\help", "'[string \" \\help\"]:1: unexpected symbol near ''\\'''"),
        ("\x1bLJ\x02", "'(binary): cannot load incompatible bytecode'"),
        ("error(1)", "'1'"),
        ("error()", "null"),
        ("error(false)", "false"),
        ("foo(\n)", "'[string \"return foo(...\"]:2: attempt to call global ''foo'' (a nil"),
    ],
)
def test_errors_of_a_statement(ask: Ask, line: str, error: str) -> None:
    assert ask(line).startswith(f"---\n- error: {error}")


@pytest.mark.parametrize(
    "rest", ["", " x", "(1)", ".x", " = 1", " 1", " end", "; 1", "\n:x()", "''"]
)
@pytest.mark.parametrize("word", ["break", "do", "for", "if", "local", "repeat", "return", "while"])
def test_these_begin_no_expression(engine: Engine, word: str, rest: str) -> None:
    line = f"{word}{rest}".encode()

    assert engine.execute("return loadstring('return ' .. ...) == nil", line)


def test_bytecode_is_not_run(engine: Engine, client: Client) -> None:
    source = "return require('console').eval(string.dump(function() hit = true end))"
    assert "cannot load incompatible bytecode" in client.eval(source).data[0]
    assert engine.execute("return hit") is None


def test_globals_stay_and_locals_do_not(engine: Engine, ask: Ask) -> None:
    assert ask("kept, other = 7, 8") == ask("local lost = 1") == "---\n...\n"
    assert ask("kept, lost") == "---\n- 7\n- null\n...\n"
    assert engine.execute("return _G.kept") == 7


def test_an_error_is_a_table_of_its_own(ask: Ask) -> None:
    assert ask("error({code = 1})") == "---\n- error:\n    code: 1\n...\n"


@pytest.mark.parametrize("line", ["{} , {bad}", "error({bad})"])
def test_what_cannot_be_written_is_told(ask: Ask, line: str) -> None:
    answer = ask(line.replace("{bad}", "setmetatable({}, {__serialize = 5})"))
    assert answer.startswith("---\n- error: 'console: an exception occurred when formatting the ")
    assert "invalid __serialize\n    value'\n...\n" in answer


def test_a_function_that_answers_itself_ends(ask: Ask) -> None:
    answer = ask("setmetatable({}, {__serialize = function(t) return t end})")
    assert answer.startswith("---\n- error: 'console: an exception occurred when formatting the ")
    assert ask("1") == "---\n- 1\n...\n"


def test_errors_of_the_formatting_may_be_anything(ask: Ask) -> None:
    odd = "(function(u) getmetatable(u).__tostring = function() error() end return u end)"
    for line in (f"{odd}(newproxy(true))", f"error({odd}(newproxy(true)))"):
        assert ask(line).startswith("---\n- error: 'console: an exception occurred when formatting")


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("setmetatable({require('uuid').NULL}, {__serialize = 'seq'})", "['%s']"),
        ("setmetatable({require('uuid').fromstr('%s')}, {__serialize = 'seq'})", "[%s]"),
        ("{require('uuid').NULL}", "- %s"),
    ],
)
def test_the_null_uuid_is_a_text(client: Client, line: str, text: str) -> None:
    zeros = "00000000-0000-0000-0000-000000000000"
    answer = client.eval(EVAL, line.replace("%s", zeros))
    assert answer.data == [f"---\n- {text.replace('%s', zeros)}\n...\n"]


def test_objects_of_fibers_are_printed(client: Client) -> None:
    line = "require('fiber').cond(), require('fiber').channel(3)"
    assert client.eval(EVAL, line).data == ["---\n- cond\n- 'channel: 0'\n...\n"]
    refused = client.eval(EVAL, "require('yaml').encode(require('fiber').cond())").data
    assert refused == ["---\n- error: unsupported Lua type 'userdata'\n...\n"]


@pytest.mark.parametrize("raised", ["{1}", "", "nil", "true"])
def test_what_serialize_raises_is_told_when_it_is_a_text(client: Client, raised: str) -> None:
    line = f"setmetatable({{}}, {{__serialize = function() error({raised}) end}})"
    assert client.eval(EVAL, line).data == [
        "---\n- error: 'console: an exception occurred when formatting the output: '\n...\n"
    ]


def test_in_lua_output_too(ask: Ask) -> None:
    assert ask("\\set output lua") == "true;"
    told = 'error = "console: exception while formatting output: \\"invalid __serialize value\\""'
    assert ask("setmetatable({}, {__serialize = 5})") == "{" + told + "};"
    assert ask("error(setmetatable({}, {__serialize = 5}))") == "{" + told + "};"


def test_statements_may_wait(engine: Engine, client: Client) -> None:
    engine.execute("wait = require('beespace.engine.fibers').suspend")
    source = "return require('console').eval('wait(0) return 1, 2')"
    (answer,) = client.answers(evaluation(1, source), 1)
    assert answer.data == ["---\n- 1\n- 2\n...\n"]


def test_an_application_without_string_functions_keeps_its_console(
    engine: Engine, client: Client
) -> None:
    engine.execute("kept = {} for name, f in pairs(string) do kept[name] = f end")
    engine.execute("string.byte, string.sub = nil, nil")
    asked = [evaluation(1, EVAL, line) for line in ("1", "return 2")]
    texts = [client.answers(each, 1)[0].data[0] for each in asked]
    engine.execute("for name, f in pairs(kept) do string[name] = f end")

    assert texts == ["---\n- 1\n...\n", "---\n- 2\n...\n"]
