"""From a name to a function, from a source text to a chunk."""

from __future__ import annotations

import pytest

from tests.helpers.engine import Client, Engine, error_of

GLOBALS = """
function plain(...) return 'plain', ... end
local function f(...) return 'f', ... end
mod = {sub = {f = f, deep = {f = f}}, m = f, notf = 5, tbl = {}}
mod.callable = setmetatable({}, {__call = function(self, ...) return 'called', ... end})
obj = {tag = 'tag'}
function obj.get(self, ...) return self == obj, ... end
lazy = setmetatable({}, {__index = function(_, key) return function() return key end end})
arr = {f, {f = f}, ['a.b'] = f, [-1] = f, ['x]y'] = f}
_G['we.ird'] = f
"""

UNDEFINED = [
    "nosuch", "nosuch.f", "mod.nosuch", "mod.notf", "obj:nosuch", "", ".", "mod.", ".mod", ":",
    "mod:", "mod:sub:f", "mod..sub", "a b", "mod.sub.f ", "we.ird", "mod.notf.x", "mod.notf:x",
    "nosuch.a.b.c", "mod.m.x", "arr[7]", 'arr["a', "arr[", "arr[]", "arr[x]", "arr[1", "arr[1]x",
    "[1]", "arr[1.5]", "arr['a.b\"]", "plain[1]", "nosuch:x", "mod.sub.deep.nosuch",
]  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def _globals(engine: Engine) -> None:
    engine.execute(GLOBALS)


@pytest.mark.parametrize("kind", [10, 6])
@pytest.mark.parametrize("name", UNDEFINED)
def test_a_name_of_nothing(client: Client, name: str, kind: int) -> None:
    for _ in range(2):
        answer = client.request(kind, {0x22: name, 0x21: [1]})
        assert error_of(answer) == (33, f"Procedure '{name}' is not defined")


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("plain", ["plain", 1]),
        ("mod.m", ["f", 1]),
        ("mod.sub.f", ["f", 1]),
        ("mod.sub.deep.f", ["f", 1]),
        ("_G.plain", ["plain", 1]),
        ("_G.mod.sub.deep.f", ["f", 1]),
        ("mod.callable", ["called", 1]),
        ("obj:get", [True, 1]),
        ("_G.obj:get", [True, 1]),
        ("lazy.anything", ["anything"]),
        ("lazy:a.b:c", ["a.b:c"]),
        ("arr[1]", ["f", 1]),
        ("arr[-1]", ["f", 1]),
        ("arr[2].f", ["f", 1]),
        ('arr["a.b"]', ["f", 1]),
        ("arr['a.b']", ["f", 1]),
        ('_G["we.ird"]', ["f", 1]),
        ("_G['mod']['sub'].deep['f']", ["f", 1]),
        ("math.abs", [1]),
        ("string.rep", [""]),
        ("box.session.type", ["binary"]),
        ("box.session:type", ["binary"]),
    ],
)
def test_a_name_of_a_function(client: Client, name: str, data: list[object]) -> None:
    arguments = ["", 1] if name == "string.rep" else [1]
    for _ in range(2):
        assert client.call(name, *arguments).data == data


@pytest.mark.parametrize("name", ["mod", "mod.tbl", "box.session", "mod.sub.deep", "_G.mod.sub"])
def test_a_name_of_a_table(client: Client, name: str) -> None:
    assert error_of(client.call(name)) == (32, "attempt to call a table value")


def test_a_redefinition_is_seen_at_once(client: Client) -> None:
    for value in range(3):
        client.eval("local v = ... changing = {f = function() return v end}", value)
        assert client.call("changing.f").data == [value]
    client.eval("changing = nil")
    assert client.call("changing.f").code == 33
    client.eval("function changing() return 'now a function' end")
    assert client.call("changing").data == ["now a function"]


def test_an_error_of_index_is_the_answer(client: Client) -> None:
    client.eval("angry = setmetatable({}, {__index = function() error('no way', 0) end})")
    assert error_of(client.call("angry.x")) == (32, "no way")


def test_more_names_than_are_kept(engine: Engine) -> None:
    count = engine.execute(
        """
        local call = require('beespace.engine.call')
        local count = 0
        for k = 1, 25000 do
          if not pcall(call.resolve, 'name' .. k) then count = count + 1 end
        end
        return count, (call.resolve('plain')) == plain
        """
    )
    assert count == (25000, True)


def test_more_sources_than_are_kept(engine: Engine) -> None:
    assert engine.execute(
        """
            local call = require('beespace.engine.call')
            local sum = 0
            for k = 1, 3000 do sum = sum + call.compile('return ' .. k)() end
            local long = 'return 7 --' .. ('x'):rep(5000)
            return sum == 3000 * 3001 / 2, call.compile(long)(),
              call.compile(long) == call.compile(long),
              call.compile('return 1') == call.compile('return 1')
            """
    ) == (True, 7, False, True)


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("this is error", "eval:1: '=' expected near 'is'"),
        ("return )", "eval:1: unexpected symbol near ')'"),
        ("error('boom')", "eval:1: boom"),
        ("\n\nerror('boom')", "eval:3: boom"),
        ("error('boom', 0)", "boom"),
        ("error()", "nil"),
        ("error(5)", "eval:1: 5"),
        ("error(1LL)", "1LL"),
        ("error(true)", "true"),
        ("local x x.y = 1", "eval:1: attempt to index local 'x' (a nil value)"),
        ("\x1bLJ\x02", "attempt to load chunk with wrong mode"),
    ],
)
def test_errors_of_a_source(client: Client, source: str, text: str) -> None:
    for _ in range(2):
        answer = client.eval(source)
        assert error_of(answer) == (32, text)
        assert answer.stack[0][0] == "LuajitError"
