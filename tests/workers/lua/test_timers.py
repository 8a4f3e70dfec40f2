"""The heap of deadlines against a sorted list."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers.engine import Engine

MODEL = """
local timers = require('beespace.engine.timers')
local st = require('beespace.engine.state').st
return function(steps)
  local records = {}
  for step in steps:gmatch('%S+') do
    local what, number = step:match('(%a)(%d+)')
    number = tonumber(number)
    if what == 's' then
      local record = {key = #records + 1, deadline = number}
      records[record.key] = record
      timers.set(record, number)
    elseif what == 'c' and #records > 0 then
      timers.cancel(records[number % #records + 1])
    end
  end
  local order = {}
  local earliest = st.next_timer
  local record = timers.pop(1e9)
  while record ~= nil do
    order[#order + 1] = record.deadline
    record = timers.pop(1e9)
  end
  return table.concat(order, ' '), timers.count(), earliest, st.next_timer
end
"""

STEPS = st.lists(st.tuples(st.sampled_from("sssc"), st.integers(0, 50)), max_size=60)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(steps=STEPS)
def test_records_come_out_in_order_and_cancelled_ones_not(
    engine: Engine, steps: list[tuple[str, int]]
) -> None:
    live: dict[int, int] = {}
    made = 0
    for what, number in steps:
        if what == "s":
            made += 1
            live[made] = number
        elif made:
            live.pop(number % made + 1, None)
    text = " ".join(f"{what}{number}" for what, number in steps)
    order, left, earliest, after = engine.runtime.call(engine.execute(MODEL), text.encode())

    assert [int(each) for each in order.split()] == sorted(live.values())
    assert left == 0
    assert earliest == min(live.values(), default=1e300)
    assert after == 1e300


def test_tens_of_thousands(engine: Engine) -> None:
    source = """
        local timers = require('beespace.engine.timers')
        local records, kept = {}, 0
        for round = 1, 2 do
          for key = 1, 20000 do
            records[key] = {deadline = key * 7919 % 20011}
            timers.set(records[key], records[key].deadline)
          end
          for key = 1, 20000, 3 do timers.cancel(records[key]) end
          kept = timers.count()
          local last = 0
          for _ = 1, kept do
            local record = timers.pop(1e9)
            assert(record.deadline >= last and record.timer == 0)
            last = record.deadline
          end
          assert(timers.pop(1e9) == nil and timers.count() == 0)
        end
        return kept"""
    assert engine.execute(source) == 20000 - 6667


def test_nothing_is_due_too_early(engine: Engine) -> None:
    source = """
        local timers = require('beespace.engine.timers')
        local record = {}
        timers.set(record, 10)
        local early = timers.pop(9.99)
        return early == nil and timers.pop(10) == record and timers.pop(10) == nil"""
    assert engine.execute(source) is True
