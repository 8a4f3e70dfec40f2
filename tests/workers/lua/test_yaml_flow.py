"""The queue of the emitter: which strings are taken for ones inside of a flow collection."""

from __future__ import annotations

from typing import Any

import pytest

from tests.helpers.lua import lua_function, make_runtime

KINDS = {"s": 0, "[": 1, "<": 2, "{": 3, "(": 4, "]": 5, "}": 5, ">": 5, ")": 5}

SOURCE = """
local flow = require('beespace.engine.yaml_flow')
return function(kinds)
  local state, seen = flow.new(), ''
  for kind in kinds:gmatch('.') do
    kind = tonumber(kind)
    if kind == flow.SCALAR then
      seen = seen .. (flow.inside(state) and 'q' or '.')
    end
    flow.feed(state, kind)
  end
  return seen, state.count, state.depth
end
"""

# `[` and `{` block, `<` and `(` flow collections, s strings; q where a string is quoted.
CASES = [
    ("s", "."),
    ("[s]", "."),
    ("[<s>]", "q"),
    ("[<sss>s]", "qqq."),
    ("[<<sss>>]", "qqq"),
    ("[<[sss]>]", "q.q"),
    ("[<{ss}>]", "q."),
    ("[<[[sss]s]s>]", ".qqqq"),
    ("[<>s]", "."),
    ("[{()s}s]", "q."),
    ("<s>", "q"),
    ("(ss)", "qq"),
    ("[[ss]{ss}s]", "....."),
]


@pytest.fixture(scope="module")
def seen() -> Any:
    runtime = make_runtime()
    play = lua_function(runtime, SOURCE)
    return lambda events: play("".join(str(KINDS[each]) for each in events).encode())


@pytest.mark.parametrize(("events", "strings"), CASES)
def test_strings_that_are_quoted(seen: Any, events: str, strings: str) -> None:
    assert seen(events) == (strings.encode(), 0, 0)
