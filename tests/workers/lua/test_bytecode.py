"""Globals that functions read, by their bytecode."""

from __future__ import annotations

import pytest

from tests.helpers.lua import make_runtime

ASK = """
local bytecode = require('beespace.engine.bytecode')
return function(source)
  local names = {}
  for name in pairs(bytecode.globals_of(assert(loadstring(source)))) do
    names[#names + 1] = name
  end
  table.sort(names)
  return table.concat(names, ' ')
end
"""


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("", ""),
        ("return a", "a"),
        ("b = a", "a"),
        ("a.b.c = d.e", "a d"),
        ("local a = 1 return a", ""),
        ("return function() return function() return a(b) end end", "a b"),
        ("for k, v in pairs(t) do print(k) end", "pairs print t"),
        ("return a, {1, 2, x = 5LL}, 'text', 1.5, -7", "a"),
        ("local t = {} t.a = 1 return t.b", ""),
        (" ".join(f"x{n} = 'c{n}'" for n in range(300)) + " return last", "last"),
    ],
)
def test_globals_of(source: str, expected: str) -> None:
    runtime = make_runtime()
    assert runtime.call(runtime.execute(ASK), source.encode()) == expected.encode()
