"""Work over many things lets others run, where it can wait."""

from __future__ import annotations

from tests.helpers.engine import Client, Engine, error_of
from tests.helpers.raw import EVAL, request

WORK = """
local turns, clock = require('beespace.engine.turns'), require('clock').monotonic
return function(seconds)
  local turn, till = turns.begin(), clock() + seconds
  while not over and clock() < till do turns.give(turn) end
end
"""


def test_others_are_answered_meanwhile(engine: Engine, client: Client) -> None:
    engine.execute(f"over, worked = false, (function() {WORK} end)()")
    first = request({0: EVAL, 1: 1}, {0x27: "worked(60) return 'work'", 0x21: []})
    second = request({0: EVAL, 1: 2}, {0x27: "over = true return 'other'", 0x21: []})
    assert [each.data for each in client.answers(first + second, 2)] == [["other"], ["work"]]


def test_a_cancelled_fiber_ends(engine: Engine, client: Client) -> None:
    engine.execute(f"over, worked = false, (function() {WORK} end)()")
    answer = client.answers(
        request({0: EVAL, 1: 1}, {0x27: "require('fiber').self():cancel() worked(60)", 0x21: []}),
        1,
    )[0]
    assert error_of(answer)[1] == "fiber is cancelled"


def test_it_goes_through_where_nothing_can_wait(client: Client) -> None:
    source = f"""
        over = false
        local worked = (function() {WORK} end)()
        local text = ('x'):gsub('x', function() worked(0.02) return 'y' end)
        return text"""
    assert client.eval(source).data == ["y"]
