"""require('trigger'): triggers of any event."""

from __future__ import annotations

import pytest

from tests.helpers.engine import Client, error_of
from tests.helpers.raw import EVAL, request

SETUP = """
local trigger = require('trigger')
local seen = {}
for event in pairs(trigger.info()) do
  for name in trigger.pairs(event) do trigger.del(event, name) end
end
local function note(name)
  return function(...) seen[#seen + 1] = {name, select('#', ...), ...} end
end
"""


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("local f = note'a' return trigger.set('e', 'x', f) == f", [True]),
        ("local f = note'a' trigger.set('e', 'x', f) return trigger.del('e', 'x') == f", [True]),
        ("return select('#', trigger.del('e', 'x'))", [0]),
        ("trigger.set('e', 'x', note'a') trigger.call('e') return seen", [[["a", 0]]]),
        ("trigger.set(1, 2, note'a') trigger.call('1', 7) return seen", [[["a", 1, 7]]]),
        ("trigger.set('e', 'x', note'a') trigger.call('e', nil, 2, nil) return seen[1][2]", [3]),
        ("return select('#', trigger.call('nothing', 1))", [0]),
        (
            """trigger.set('e', 'x', note'a') trigger.set('e', 'y', note'b')
               trigger.set('e', 'x', note'c') trigger.call('e') return seen[1][1], seen[2][1]""",
            ["b", "c"],
        ),
        ("return next(trigger.info()) == nil, next(trigger.info('e')) == nil", [True, True]),
        (
            """trigger.set('e', 'x', note'a') trigger.set('f', 'y', note'b') trigger.del('f', 'y')
               local i = trigger.info() return i.e[1][1], i.f, #i.e""",
            ["x", None, 1],
        ),
        (
            """for n = 1, 3 do trigger.set('e', 't' .. n, note(n)) end local all = {}
               for name, f in trigger.pairs('e') do all[#all + 1] = name f()
               trigger.del('e', 't2') end return all, #seen""",
            [["t3", "t1"], 2],
        ),
        ("for name in trigger.pairs('nothing') do error(name) end return 'none'", ["none"]),
    ],
)
def test_results(client: Client, source: str, expected: list[object]) -> None:
    assert client.eval(SETUP + source).data == expected


@pytest.mark.parametrize(
    ("call", "text"),
    [
        ("set('e', 'x')", "Usage: trigger.set(event, trigger, function)"),
        ("set('e', 'x', print, 1)", "Usage: trigger.set(event, trigger, function)"),
        ("del('e')", "Usage: trigger.del(event, trigger)"),
        ("del('e', 'x', 1)", "Usage: trigger.del(event, trigger)"),
        ("call()", "Usage: trigger.call(event, [args...])"),
        ("info('e', 1)", "Usage: trigger.info([event])"),
        ("pairs()", "Usage: trigger.pairs(event)"),
        ("pairs('e', 1)", "Usage: trigger.pairs(event)"),
        ("set({}, 'x', print)", "bad argument #1 to '?' (string expected, got table)"),
        ("set('e', box.NULL, print)", "bad argument #2 to '?' (string expected, got cdata)"),
        ("set('e', 'x', nil)", "bad argument #3 to '?' (callable expected, got nil)"),
        ("set('e', 'x', {})", "bad argument #3 to '?' (callable expected, got table)"),
        ("set('e', 'x', box.NULL)", "bad argument #3 to '?' (callable expected, got cdata)"),
        ("del(nil, 'x')", "bad argument #1 to '?' (string expected, got nil)"),
        ("call({})", "bad argument #1 to '?' (string expected, got table)"),
        ("info(nil)", "bad argument #1 to '?' (string expected, got nil)"),
        ("pairs(true)", "bad argument #1 to '?' (string expected, got boolean)"),
    ],
)
def test_errors(client: Client, call: str, text: str) -> None:
    assert error_of(client.eval(SETUP + f"trigger.{call}")) == (32, text)


def test_an_error_is_raised_and_stops_the_rest(client: Client) -> None:
    source = (
        SETUP
        + """
        trigger.set('e', 'x', note'a')
        trigger.set('e', 'y', function() box.error{code = 1234, reason = 'no'} end)
        local ok, raised = pcall(trigger.call, 'e')
        return ok, raised.code, #seen"""
    )
    assert client.eval(source).data == [False, 1234, 0]


def test_functions_may_wait(client: Client) -> None:
    source = (
        SETUP
        + """
        trigger.set('e', 'x', function(t) require('fiber').sleep(0) t.done = true end)
        local t = {}
        trigger.call('e', t)
        return t.done"""
    )
    (answer,) = client.answers(_eval(source), 1)
    assert answer.data == [True]


def _eval(source: str) -> bytes:
    return request({0: EVAL, 1: 1}, {0x27: source, 0x21: []})
