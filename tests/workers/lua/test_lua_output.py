"""Values as Lua text: the forms, that Lua reads them again, and what has no end."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.helpers.engine import Client, Engine
from tests.helpers.requests import evaluation

Written = Callable[..., str]


@pytest.fixture(scope="module")
def written(engine: Engine) -> Written:
    """The answer for the values of an expression."""
    engine.execute("lua_output = require('beespace.engine.lua_output')")

    def write(expression: str, opt: str | None = None) -> str:
        values = f", {expression}" if expression else ""
        source = f"return lua_output.answer({{opt = ..., eos = ';'}}, true{values})"
        text = engine.execute(source, None if opt is None else opt.encode())
        return bytes(text).decode()

    return write


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("", ";"),
        ("1, 2, nil", "1, 2, nil;"),
        ("true, false, box.NULL", "true, false, box.NULL;"),
        ("-0, 0.1, 1/3, 1e15, 1e20", "0, 0.1, 0.33333333333333, 1000000000000000, 1e+20;"),
        (
            "2^53, 2^63, -2^63, 2^64",
            "9007199254740992, 9223372036854775808, -9223372036854775808, 1.",
        ),
        ("1/0, -1/0, 0/0", "1/0, -1/0, 0/0;"),
        ("1ULL, -1LL, -1ULL", "1, -1, 18446744073709551615;"),
        ("require('ffi').new('int', 5), require('ffi').new('bool', 1)", "5, true;"),
        ("require('ffi').typeof('int')", '"ctype<int>";'),
        ("'a\\nb\"c'", '"a\\nb\\"c";'),
        ("'it\\'s', ''", '"it\\\'s", "";'),
        ("'a\\\\b\\t\\r\\a\\b\\f\\v'", '"a\\\\b\\t\\r\\a\\b\\f\\v";'),
        ("'\\0', '\\0001', '\\27\\127'", '"\\0", "\\x001", "\\x1b\\x7f";'),
        ("'\\195\\169\\255'", '"\\xc3\\xa9\\xff";'),
        ("{}, {{}}", "{}, {{}};"),
        ("{1, 2, {3}}", "{1, 2, {3}};"),
        ("{1, nil, 3}", "{1, nil, 3};"),
        ("{1, 2, a = 3}", "{[1] = 1, [2] = 2, a = 3};"),
        ("{b = 1, a = 2, ['a b'] = 3}", '{a = 2, ["a b"] = 3, b = 1};'),
        ("{['end'] = 1, ['1'] = 2, [''] = 3}", '{[""] = 3, ["1"] = 2, ["end"] = 1};'),
        (
            "{[0] = 1, [-1] = 2, [1.5] = 3, [true] = 4}",
            "{[-1] = 2, [0] = 1, [1.5] = 3, [true] = 4};",
        ),
        ("{[100] = 1}", "{[100] = 1};"),
        ("setmetatable({1, 2}, {__serialize = 'map'})", "{[1] = 1, [2] = 2};"),
        ("setmetatable({1, a = 1}, {__serialize = 'seq'})", "{1};"),
        ("setmetatable({}, {__serialize = function() return 'x' end})", '"x";'),
        ("box.tuple.new({1, {a = 'x'}})", '{1, {a = "x"}};'),
        ("box.error.new({code = 1, reason = 'm'})", '"m";'),
        ("require('decimal').new('1.5')", '"1.5";'),
        (
            "require('uuid').fromstr('c8f0fa1f-da29-438c-a040-393f1126ad39')",
            '"c8f0fa1f-da29-438c-a040-393f1126ad39";',
        ),
        ("setmetatable({}, {__tostring = error, __pairs = error, __index = error})", "{};"),
    ],
)
def test_values_in_a_line(written: Written, expression: str, text: str) -> None:
    assert written(expression).startswith(text)


def test_values_without_a_lua_form_are_named(written: Written) -> None:
    assert written("print").startswith('"function: ')
    assert written("coroutine.create(print), newproxy()").startswith('"thread: 0x')
    assert written("require('ffi').new('int[2]')").startswith('"cdata<int [2]>: 0x')
    odd = "newproxy(true), (function(u) getmetatable(u).__tostring = error return u end)"
    assert written(odd).startswith('"userdata: ')
    broken = "(function(u) getmetatable(u).__tostring = function() error() end return u end)"
    assert written(f"{broken}(newproxy(true))") == '"userdata";'


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("1, 'x'", '1, "x";'),
        ("{1, {a = 2}}", "{\n  1,\n  {\n    a = 2\n  }\n};"),
        ("{}", "{\n\n};"),
        ("{1}, {a = {}}", "{\n  1\n}, {\n  a = {\n\n  }\n};"),
    ],
)
def test_values_in_a_block(written: Written, expression: str, text: str) -> None:
    assert written(expression, "block") == text


def test_errors(engine: Engine, written: Written) -> None:
    write = "return lua_output.answer({eos = ';'}, false, ...)"
    assert engine.execute(write) == b"{error = box.NULL};"
    assert engine.execute(write, b"[string \"1 +\"]:1: near '1'") == (
        b'{error = "[string \\"1 +\\"]:1: near \\\'1\\\'"};'
    )
    assert engine.execute(write, b"Invalid command \\foo\n") == (
        b'{error = "Invalid command \\foo\\n"};'
    )
    block = "return lua_output.answer({opt = 'block', eos = '.'}, false, {code = 1})"
    assert engine.execute(block) == b"{\n  error = {\n    code = 1\n  }\n}."


def test_pushes(engine: Engine, written: Written) -> None:
    push = "return lua_output.push({opt = ...}, {1, 'x'})"
    assert engine.execute(push) == b'-- Push\n{1, "x"};'
    assert engine.execute(push, b"block") == b'-- Push\n{\n  1,\n  "x"\n};'


def test_lua_reads_what_was_written(engine: Engine, written: Written) -> None:
    written("1")
    assert (
        engine.execute(
            """
            local random = math.random
            math.randomseed(7)
            local make
            local function text()
              local bytes = {}
              for index = 1, random(0, 6) do bytes[index] = string.char(random(0, 255)) end
              return table.concat(bytes)
            end
            local makers = {
              text,
              function() return random(-9, 9) end,
              function() return random(-999, 999) / 8 end,
              function() return random(2) == 1 end,
              function(depth)
                local t = {}
                for index = 1, random(0, 4) do t[index] = make(depth + 1) end
                return t
              end,
              function(depth)
                local t = {}
                for _ = 1, random(0, 4) do t[make(9)] = make(depth + 1) end
                return t
              end,
            }
            function make(depth) return makers[random(depth < 4 and 6 or 4)](depth) end
            local function same(a, b)
              if type(a) ~= 'table' or type(b) ~= 'table' then return a == b end
              for key, value in pairs(a) do
                if not same(value, b[key]) then return false end
              end
              for key in pairs(b) do
                if a[key] == nil then return false end
              end
              return true
            end
            local good = 0
            for _, opt in ipairs({'line', 'block'}) do
              for _ = 1, 400 do
                local value = make(0)
                local written = lua_output.answer({opt = opt, eos = ''}, true, value)
                assert(same(value, assert(loadstring('return ' .. written))()), written)
                good = good + 1
              end
            end
            return good
            """
        )
        == 800
    )


def test_tables_that_are_met_again(written: Written) -> None:
    shared = "(function() local t = {1} return {t, t}, t end)()"
    assert written(shared) == "{{1}, {1}}, {1};"
    cycle = "(function() local t = {a = {}} t.a.up = t return t end)()"
    assert written(cycle) == "{a = {up = nil}};"


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("local t = {1} for _ = 1, 60 do t = {t, t} end return t", "written too often"),
        ("local t = {1} for _ = 1, 300 do t = {t} end return t", "more than 200"),
        (
            "return setmetatable({}, {__serialize = function(t) return t end})",
            "more than 200 times",
        ),
        ("return setmetatable({[1e9] = 1}, {__serialize = 'seq'})", "too many holes"),
        ("return setmetatable({}, {__serialize = 5})", "invalid __serialize value"),
        ("return setmetatable({}, {__serialize = function() error('no', 0) end})", "no"),
    ],
)
def test_what_has_no_end_is_told(engine: Engine, written: Written, source: str, told: str) -> None:
    written("1")
    run = f"return pcall(lua_output.answer, {{eos = ';'}}, true, (function() {source} end)())"
    ok, text = engine.execute(run)
    assert not ok
    assert told in text.decode()


def test_big_values_let_others_run(engine: Engine, client: Client, written: Written) -> None:
    written("1")
    engine.execute("big, turns = {}, 0 for k = 1, 300000 do big[k] = {k, 'x'} end")
    source = """
        require('fiber').create(function()
          while not over do
            turns = turns + 1
            table.remove(big)
            require('fiber').sleep(0)
          end
        end)
        local text = lua_output.answer({eos = ';'}, true, big)
        over = true
        return #text, turns"""
    (answer,) = client.answers(evaluation(1, source), 1)
    size, turns = answer.data
    assert size > 3_000_000
    assert turns > 20


@pytest.mark.parametrize(
    "source",
    [
        "('line\\n\\n'):rep(1000000)",
        "{[('\\0001\\255'):rep(1000000)] = 1}",
        "(function() local t = {} for k = 1, 200000 do t['k' .. k] = k end return t end)()",
    ],
)
def test_long_texts_and_many_keys_let_others_run(
    engine: Engine, client: Client, written: Written, source: str
) -> None:
    written("1")
    engine.execute(f"turns, over, big = 0, false, {source}")
    run = """
        require('fiber').create(function()
          while not over do
            turns = turns + 1
            require('fiber').sleep(0)
          end
        end)
        written = lua_output.answer({eos = ';'}, true, big)
        over = true
        return turns"""
    (answer,) = client.answers(evaluation(1, run), 1)
    assert answer.data[0] > 10
    same = """
        local again = loadstring('return ' .. written)()
        if type(big) ~= 'table' then return again == big end
        for k, v in pairs(big) do assert(again[k] == v) end
        return next(again) ~= nil"""
    assert engine.execute(same) is True


def test_long_errors_keep_their_backslashes(engine: Engine, written: Written) -> None:
    write = "return lua_output.answer({eos = ';'}, false, ...)"
    assert engine.execute(write, b"\\\n" * 20000) == b'{error = "' + b"\\\\n" * 20000 + b'"};'


def test_many_keys_are_sorted(written: Written) -> None:
    numbers = range(-3000, 3000)
    texts = sorted(f"k{number}" for number in numbers)
    source = (
        "(function() local t = {[true] = 0, [false] = 0} for k = -3000, 2999 do"
        " t[k] = 0 t['k' .. k] = 0 end return t end)()"
    )
    wanted = [f"[{number}] = 0" for number in numbers]
    wanted += [f"{text} = 0" if "-" not in text else f'["{text}"] = 0' for text in texts]
    wanted += ["[false] = 0", "[true] = 0"]
    assert written(source) == "{" + ", ".join(wanted) + "};"
