"""Functions as bytes and back: upvalues, sharing, names, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers.lua import make_runtime
from workers.runtime import Runtime

SETUP = """
local shipping = require('beespace.engine.shipping')
local landmarks = require('beespace.engine.landmarks')
box = {NULL = require('beespace.engine.decode').NULL, parts = {deep = {f = function() end}}}
landmarks.attach()
ship = function(f)
  local bytes, why = shipping.pack(f)
  if bytes == nil then
    return nil, why
  end
  return shipping.unpack(bytes)
end
twin = function(f)
  local copy, missing = ship(f)
  if copy == nil then
    error(missing, 0)
  end
  assert(copy ~= f, 'not a copy')
  return copy, missing
end
"""


@pytest.fixture(scope="module")
def runtime() -> Runtime:
    made = make_runtime()
    made.execute(SETUP)
    return made


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("return twin(function() return 7 end)()", 7),
        ("local a, b = 1.5, 'x' return twin(function() return b .. a end)()", b"x1.5"),
        ("local t, f = true, false return twin(function() return t and not f end)()", True),
        ("local n return twin(function() return n end)()", None),
        ("local n = 0/0 return twin(function() return n ~= n end)()", True),
        ("local z = -0 * 1 return twin(function() return 1 / z end)()", float("-inf")),
        ("local big = 2^53 + 2 return twin(function() return big end)()", 2.0**53 + 2),
        ("local s = '\\0\\255\\10' return twin(function() return #s end)()", 3),
        ("local x = 5LL return twin(function() return tostring(x / 2) end)()", b"2LL"),
        (
            "local x = -1ULL return twin(function() return tostring(x) end)()",
            b"18446744073709551615ULL",
        ),
        ("local x = box.NULL return twin(function() return x == nil and type(x) end)()", b"cdata"),
        (
            """local u = require('uuid').fromstr('b8c3f5a1-0000-4000-8000-123456789abc')
               return twin(function() return tostring(u) end)()""",
            b"b8c3f5a1-0000-4000-8000-123456789abc",
        ),
        (
            """local d = require('decimal').new('1.25')
               return twin(function() return tostring(d) end)()""",
            b"1.25",
        ),
    ],
)
def test_values_of_upvalues(runtime: Runtime, source: str, expected: object) -> None:
    assert runtime.execute(source) == expected


@pytest.mark.parametrize(
    "source",
    [
        # arguments, any number
        """local f = twin(function(...) return select('#', ...), ... end)
           local n, a, b, c = f(nil, 2, nil)
           return n == 3 and a == nil and b == 2 and c == nil""",
        # functions inside
        """local outer = 10
           local f = twin(function(x) return function(y) return outer + x + y end end)
           return f(1)(2) == 13""",
        # recursion through an upvalue
        """local function fact(n) return n <= 1 and 1 or n * fact(n - 1) end
           return twin(fact)(10) == 3628800""",
        # two functions that call each other
        """local even, odd
           function even(n) return n == 0 or odd(n - 1) end
           function odd(n) return n ~= 0 and even(n - 1) end
           return twin(even)(100) and not twin(even)(7)""",
        # an upvalue that two functions share stays one
        """local n = 0
           local function add() n = n + 1 end
           local f = twin(function() add() add() return n end)
           return f() == 2 and f() == 4 and n == 0""",
        # a table that two upvalues share stays one
        """local t = {} local u = t
           local f = twin(function() t.x = 1 return u.x end)
           return f() == 1 and t.x == nil""",
        # cycles
        """local t = {} t.self = t t[t] = t
           local f = twin(function() return t.self == t and t[t] == t end)
           return f()""",
        """local t = {} t.f = function() return t end
           local f = twin(function() return t.f() == t end)
           return f()""",
        # a function as key and in a list
        """local g = function() return 3 end
           local t = {[g] = 1, g, {g}}
           local f = twin(function() return t[t[1]] == 1 and t[2][1] == t[1] and t[1]() == 3 end)
           return f()""",
        # very deep tables
        """local deep = false
           for _ = 1, 5000 do deep = {deep} end
           local f = twin(function() local n, at = 0, deep
             while at do n, at = n + 1, at[1] end return n end)
           return f() == 5000""",
        # a function that LuaJIT has compiled
        """local sum = 0
           local function f(n) local s = 0 for i = 1, n do s = s + i end sum = s return s end
           for _ = 1, 500 do f(300) end
           return twin(f)(4) == 10""",
        # the copy is independent
        """local n = 1
           local f = function() n = n + 1 return n end
           local copy = twin(f)
           return f() == 2 and copy() == 2 and f() == 3""",
        # where an error was raised is still told
        """local f = assert(loadstring("return function() error('here') end", '=eval'))()
           local _, raised = pcall(twin(f))
           return raised == 'eval:1: here'""",
        # the copy of a copy
        """local n = 4
           return twin(twin(function() return n end))() == 4""",
    ],
)
def test_the_copy_works_as_the_function(runtime: Runtime, source: str) -> None:
    assert runtime.execute(source) is True


@pytest.mark.parametrize(
    "source",
    [
        "local f = print return twin(function() return f == print end)()",
        "local f = string.format return twin(function() return f == string.format end)()",
        "local s = string return twin(function() return s == string end)()",
        "local g = _G return twin(function() return g == _G end)()",
        "local d = box.parts.deep return twin(function() return d.f == box.parts.deep.f end)()",
        "return ship(string.rep) == string.rep",
        "local io = io return twin(function() return io.stdout == _G.io.stdout end)()",
        # modules of the application, with what is in them
        """local shop = {sell = function() end, stock = {apples = 3}}
           package.loaded.shop = shop
           local stock, sell = shop.stock, shop.sell
           local ok = twin(function() return stock == package.loaded.shop.stock
             and sell == package.loaded.shop.sell end)() and ship(sell) == sell
           package.loaded.shop = nil
           return ok""",
    ],
)
def test_what_has_a_name_travels_by_its_name(runtime: Runtime, source: str) -> None:
    assert runtime.execute(source) is True


def test_a_module_that_is_not_loaded_is_loaded(runtime: Runtime) -> None:
    source = """
        local log = require('log')
        local bytes = assert(require('beespace.engine.shipping').pack(function() return log end))
        package.loaded.log = nil
        local f, missing = require('beespace.engine.shipping').unpack(bytes)
        return f() == package.loaded.log and f() ~= nil and #missing"""
    assert runtime.execute(source) == 0


REFUSED = [
    ("local co = coroutine.create(print)", "co", "upvalue 'co' is a coroutine"),
    ("local p = newproxy()", "p", "upvalue 'p' is userdata"),
    ("local m = setmetatable({}, {})", "m", "upvalue 'm' is a table with a metatable"),
    ("local t = {a = {[2] = newproxy()}}", "t", "upvalue 't.a[2]' is userdata"),
    ("local t = {['a b'] = newproxy()}", "t", "upvalue 't[\"a b\"]' is userdata"),
    ("local t = {[newproxy()] = 1}", "t", "is userdata"),
    (
        "local p = newproxy() local g = function() return p end",
        "g",
        "upvalue 'p' of 'g' is userdata",
    ),
    (
        "local p = newproxy() local h = function() return p end local g = function() h() end",
        "g",
        "upvalue 'p' of 'h' of 'g' is userdata",
    ),
    (
        "local p = newproxy() local t = {f = function() return p end}",
        "t",
        "upvalue 'p' of 't.f' is userdata",
    ),
    (
        "local c = coroutine.wrap(function() end)",
        "c",
        "upvalue 'c' is a C function without a name that every worker knows",
    ),
    (
        "local e = setfenv(function() end, {})",
        "e",
        "upvalue 'e' is a function with an environment of its own",
    ),
    ("local c = require('ffi').new('int[3]')", "c", "upvalue 'c' is cdata"),
    (
        "local s = ('x'):rep(200000)",
        "s",
        "it takes more than 131072 bytes with its upvalues",
    ),
    (
        "local t = {} for i = 1, 1e6 do t[i] = i end",
        "t",
        "it takes more than 131072 bytes with its upvalues",
    ),
]


@pytest.mark.parametrize(("setup", "name", "text"), REFUSED, ids=[each[0] for each in REFUSED])
def test_what_cannot_travel_is_named(runtime: Runtime, setup: str, name: str, text: str) -> None:
    result, why = runtime.execute(f"{setup} return ship(function() return {name} end)")
    assert result is None
    assert text in why.decode()


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("setmetatable({}, {__call = print})", "it is a table with a metatable"),
        ("coroutine.wrap(print)", "it is a C function without a name that every worker knows"),
        ("setfenv(function() end, {})", "it is a function with an environment of its own"),
    ],
)
def test_a_root_that_cannot_travel(runtime: Runtime, source: str, text: str) -> None:
    assert runtime.execute(f"return ship({source})") == (None, text.encode())


@pytest.mark.parametrize(
    ("source", "missing"),
    [
        ("function() return print, string.format end", []),
        ("function() return nope end", ["nope"]),
        ("function() nope.x = 1 return function() return zero() end end", ["nope", "zero"]),
        ("function() made = 1 end", []),
        (
            "(function() local h = function() return far end return function() h() end end)()",
            ["far"],
        ),
    ],
)
def test_missing_globals_are_named(runtime: Runtime, source: str, missing: list[str]) -> None:
    found = runtime.execute(f"return table.concat(select(2, twin({source})), ' ')")
    assert found.decode().split() == missing


def test_missing_paths_are_named(runtime: Runtime) -> None:
    source = """
        local shipping = require('beespace.engine.shipping')
        package.loaded.shop = {sell = function() end}
        local sell = package.loaded.shop.sell
        local bytes = shipping.pack(function() return sell end)
        package.loaded.shop = {}
        local f, missing = shipping.unpack(bytes)
        package.loaded.shop = nil
        local g, more = shipping.unpack(bytes)
        return f(), missing[1], g(), more[1]"""
    name = b"require('shop').sell"
    assert runtime.execute(source) == (None, name, None, name)


def test_bytecode_is_loaded_by_nobody_else(runtime: Runtime) -> None:
    source = """
        local call = require('beespace.engine.call')
        return pcall(call.compile, string.dump(function() return 1 end))"""
    ok, text = runtime.execute(source)
    assert not ok
    assert b"attempt to load chunk with wrong mode" in text


plain = st.recursive(
    st.booleans() | st.floats(allow_nan=False) | st.binary(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.binary(max_size=8), inner, max_size=4)
    ),
    max_leaves=30,
)


def to_lua(runtime: Runtime, value: Any) -> Any:
    """A Python value as nested Lua tables; what is no table stays."""
    if isinstance(value, list):
        pairs = [(float(number), each) for number, each in enumerate(value, 1)]
    elif isinstance(value, dict):
        pairs = list(value.items())
    else:
        return value
    made = runtime.execute("return {}")
    put = runtime.execute("return function(t, k, v) t[k] = v end")
    for key, each in pairs:
        put(made, key, to_lua(runtime, each))
    return made


EQUAL = """
local function equal(a, b)
  if type(a) ~= 'table' or type(b) ~= 'table' then return a == b and 1 / 1 == 1 end
  for k, v in pairs(a) do if not equal(v, b[k]) then return false end end
  for k in pairs(b) do if a[k] == nil then return false end end
  return true
end
return function(value)
  local copy = twin(function() return value end)()
  return equal(value, copy) and (type(value) ~= 'table' or value ~= copy)
end
"""


@settings(max_examples=150, deadline=None, derandomize=True)
@given(plain)
def test_any_plain_value_arrives_as_it_was(value: Any) -> None:
    runtime = _shared()
    assert runtime.call(runtime.execute(EQUAL), to_lua(runtime, value)) is True


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.integers(0, 11), st.integers(0, 11)), max_size=40))
def test_any_graph_keeps_its_form(edges: list[tuple[int, int]]) -> None:
    """Nodes are tables and functions in turn; an edge is a field or an upvalue."""
    source = """
        local nodes, outs = {}, {}
        for n = 0, 11 do
          local out = {}
          outs[n] = out
          nodes[n] = n % 2 == 0 and out or function() return out end
        end
        local count = 0
        for from, to in (...):gmatch('(%d+)>(%d+)') do
          count = count + 1
          outs[tonumber(from)][count] = nodes[tonumber(to)]
        end
        local function form(all)
          local names, list, text = {}, {}, {}
          local function name(node)
            if names[node] == nil then
              list[#list + 1] = node
              names[node] = #list
            end
            return names[node]
          end
          name(all)
          local at = 1
          while list[at] do
            local node = list[at]
            local out = type(node) == 'function' and node() or node
            local keys = {}
            for k in pairs(out) do keys[#keys + 1] = k end
            table.sort(keys)
            text[#text + 1] = type(node) .. name(out)
            for _, k in ipairs(keys) do text[#text + 1] = k .. ':' .. name(out[k]) end
            at = at + 1
          end
          return table.concat(text, ' ')
        end
        local all = {} for n = 0, 11 do all[n + 1] = nodes[n] end
        local copy = twin(function() return all end)()
        return form(all) == form(copy)"""
    text = " ".join(f"{a}>{b}" for a, b in edges)
    assert _shared().execute(source, text.encode()) is True


_RUNTIMES: list[Runtime] = []


def _shared() -> Runtime:
    if not _RUNTIMES:
        _RUNTIMES.append(make_runtime())
        _RUNTIMES[0].execute(SETUP)
    return _RUNTIMES[0]
