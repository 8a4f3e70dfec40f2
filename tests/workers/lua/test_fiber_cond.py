"""Conds under many fibers: every signal wakes one fiber that waits, a broadcast all of them.

What each call answers is in test_fiber_golden.
"""

from __future__ import annotations

import pytest

from tests.helpers.engine import Engine

MANY = """
local fiber = require('fiber')
local fibers = require('beespace.engine.fibers')
local cond = fiber.cond()
local waiting, woken, late, cancelled = {}, 0, 0, 0
for k = 1, 1000 do
  waiting[k] = fiber.create(function()
    local ok, said = pcall(cond.wait, cond, k % 10 == 5 and 0 or k % 3 == 0 and 3600 or nil)
    if not ok then
      cancelled = cancelled + 1
    elseif said then
      woken = woken + 1
    else
      late = late + 1
    end
  end)
end
for k = 1, 1000, 10 do waiting[k]:cancel() end
local function turns(n) for _ = 1, n do fibers.run_ready() end end
turns(2)
"""


@pytest.mark.parametrize("signals", [0, 1, 500, 800, 900])
def test_a_signal_wakes_one(engine: Engine, signals: int) -> None:
    source = f"""
        for _ = 1, {signals} do cond:signal() end
        turns(2)
        local first = woken
        cond:broadcast()
        turns(2)
        return first, cancelled, late, woken, require('beespace.engine.fiber_records').count"""

    assert engine.execute(MANY + source) == (min(signals, 800), 100, 100, 800, 0)


def test_a_broadcast_wakes_all(engine: Engine) -> None:
    source = "cond:broadcast() turns(2) return woken, require('beespace.engine.timers').count()"

    assert engine.execute(MANY + source) == (800, 0)


def test_a_woken_fiber_that_waits_again_waits_for_the_next_broadcast(engine: Engine) -> None:
    source = """
        local fiber = require('fiber')
        local fibers = require('beespace.engine.fibers')
        local cond, rounds = fiber.cond(), 0
        fiber.create(function() while cond:wait() do rounds = rounds + 1 end end):name('again')
        cond:broadcast()
        cond:signal()
        fibers.run_ready()
        local first = rounds
        cond:broadcast()
        fibers.run_ready()
        return first, rounds"""
    assert engine.execute(source) == (1, 2)
