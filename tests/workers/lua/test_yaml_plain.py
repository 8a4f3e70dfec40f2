"""Small plain answers: the same text as by events and Python, or none; and no Python for them."""

from __future__ import annotations

from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.lua import lua_function, make_runtime
from workers import bridge
from workers.runtime import Runtime

SOURCE = r"""
local ffi = require('ffi')
local codec = require('beespace.engine.codec')
local plain = require('beespace.engine.yaml_plain')
local yaml = require('beespace.engine.yaml')
local bridge = require('beespace.bridge')

ffi.cdef 'typedef struct { int x; } proud_t;'
local proud = ffi.metatype('proud_t', {__eq = function() error('compared', 0) end})()
local shared = {1}
local itself = {}
itself[1] = itself
local env = {
  NULL = codec.NULL, proud = proud, shared = shared, itself = itself, rep = string.rep,
  setmetatable = setmetatable,
}

-- A decoded value without the hints of its tables.
local function bare(value)
  if type(value) ~= 'table' then
    return value
  end
  local made = {}
  for key, each in pairs(value) do
    made[key] = bare(each)
  end
  return made
end

local function both(...)
  local usual = {}
  for _, dialect in ipairs({'2.6', 'new'}) do
    usual[#usual + 1] = bridge.yaml_render(yaml.stream(true, ...), dialect, nil, nil)
  end
  return plain.answer(...), usual[1], usual[2]
end

local ways = {
  packed = function(text)
    local values = codec.unpack(text)
    return both(unpack(bare(values), 1, #values))
  end,
  lua = function(text)
    return both(setfenv(loadstring('return ' .. text), env)())
  end,
  plain = function(text)
    return plain.answer(setfenv(loadstring('return ' .. text), env)())
  end,
  with = function(text)
    return plain.answer(loadstring('return ' .. text)())
  end,
  answer = function(text)
    return yaml.answer(setfenv(loadstring('return ' .. text), env)())
  end,
}
return function(way, text) return ways[way](text) end
"""

PLAIN = [
    ("1", "- 1"),
    ("nil, true, false", "- null\n- true\n- false"),
    ("-1.5, 0.1, 1e15, -0", "- -1.5\n- 0.1\n- 1000000000000000\n- 0"),
    ("1 / 0, 2 ^ 64", "- inf\n- 1.844674407371e+19"),
    (
        "'127.0.0.1:55457', 'two words', 'a_b-c/d@e.f'",
        "- 127.0.0.1:55457\n- two words\n- a_b-c/d@e.f",
    ),
    ("{1, 'two', {3}}", "- - 1\n  - two\n  - - 3"),
    ("{a = 1}", "- a: 1"),
    ("{a = {1, {b = 2}}}", "- a:\n  - 1\n  - b: 2"),
    ("{a = {b = {c = {1}}}}", "- a:\n    b:\n      c:\n      - 1"),
    ("{{{{1}}}}, 2", "- - - - - 1\n- 2"),
    ("{{a = {1, 2}}, 3}", "- - a:\n    - 1\n    - 2\n  - 3"),
    ("false, {false}", "- false\n- - false"),
    ("rep('x', 32)", "- " + "x" * 32),
]

OTHERS = [
    "''", "'a: b'", "'a:'", "'yes'", "'null'", "'12'", "'0x1p4'", "'-a'", "' a'", "'a '", "'[a'",
    "'a#b'", "'a\\nb'", "'\\195\\169'", "'a\\0b'", "rep('x', 33)", "{}", "{a = {}}", "{{}}",
    "{1, nil, 3}", "{[2] = 1}", "{1, a = 2}", "{[true] = 1}", "{[1.5] = 1}", "{['1'] = 1}",
    "{[''] = 1}", "1ULL", "NULL", "{NULL}", "{1, NULL, 3}", "{a = NULL}", "shared, shared",
    "{shared, {shared}}", "itself", "setmetatable({1}, {})", "{{{{{1}}}}}",
    "{a = {b = {c = {d = {e = {f = 1}}}}}}", "setmetatable({1}, {__serialize = 'map'})", "proud",
]  # fmt: skip


@pytest.fixture(scope="module")
def runtime() -> Runtime:
    return make_runtime(bridge.make_services(bridge.Context(version="1")))


@pytest.fixture(scope="module")
def ways(runtime: Runtime) -> Any:
    made = lua_function(runtime, SOURCE)
    return lambda way, text: made(way.encode(), text if isinstance(text, bytes) else text.encode())


@pytest.mark.parametrize(("source", "text"), PLAIN)
def test_what_is_plain(ways: Any, source: str, text: str) -> None:
    answer = f"---\n{text}\n...\n".encode()

    assert ways("lua", source) == (answer, answer, answer)


@pytest.mark.parametrize("source", OTHERS)
def test_what_is_not(ways: Any, source: str) -> None:
    assert ways("plain", source) is None


def test_so_many_values_and_no_more(ways: Any) -> None:
    most = ways("lua", "{" + "1," * 255 + "}")
    nested = ways("lua", "{" + "{1}," * 127 + "}")

    assert most[0] == most[1] == most[2]
    assert nested[0] == nested[1] == nested[2]
    assert ways("plain", "{" + "1," * 256 + "}") is None
    assert ways("plain", "{" + "{1}," * 128 + "}") is None
    assert ways("plain", "{" + ",".join(f"a{key} = 1" for key in range(256)) + "}") is None


def test_one_that_is_not_leaves_nothing_for_the_next(ways: Any) -> None:
    assert ways("plain", "1, {2, shared, ''}") is None
    assert ways("plain", "shared") == b"---\n- - 1\n...\n"


def test_plain_answers_need_no_python() -> None:
    made = lua_function(make_runtime(), SOURCE)

    assert made(b"answer", b"{1, 'two', {a = 3}}") == b"---\n- - 1\n  - two\n  - a: 3\n...\n"


def test_the_metatable_of_numbers_is_none_of_its_business(ways: Any) -> None:
    for source in ("1", "{a = 1.5}", "{1, -0}"):
        usual = ways("lua", source)
        odd = f"(function() debug.setmetatable(1, {{__tostring = error}}) end)(), {source}"
        try:
            text = ways("with", odd)
        finally:
            ways("with", "debug.setmetatable(1, nil)")
        assert text == usual[0].replace(b"---\n", b"---\n- null\n")


WORDS = st.text("ab1_ .:/,@-#'\"[]{}?&*!|>%`~\n\t=\0é", max_size=9).map(str.encode) | st.text(
    "ab -:,", min_size=25, max_size=36
).map(str.encode)
SCALARS = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats() | WORDS
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=20,
)


@given(st.lists(VALUES, min_size=1, max_size=4))
def test_the_text_is_the_usual_one_or_none(ways: Any, values: list[Any]) -> None:
    text, old, new = ways("packed", msgpack.packb(values))

    assert text is None or text == old == new


SIMPLE = st.text("abcdefXYZ019_", max_size=12).map("w".__add__)


@given(
    st.recursive(
        SIMPLE | st.integers(-(2**40), 2**40) | st.booleans(),
        lambda inner: (
            st.lists(inner, min_size=1, max_size=3)
            | st.dictionaries(SIMPLE, inner, min_size=1, max_size=3)
        ),
        max_leaves=6,
    )
)
def test_simple_values_are_plain(ways: Any, value: Any) -> None:
    text, old, new = ways("packed", msgpack.packb([value]))

    assert text == old == new or (text is None and depth(value) > 4)


def depth(value: Any) -> int:
    """Tables inside of each other."""
    if isinstance(value, dict):
        return 1 + max(map(depth, value.values()))
    return 1 + max(map(depth, value)) if isinstance(value, list) else 0
