"""A line of waiting fibers: who is first, who has left, who comes back."""

from __future__ import annotations

import pytest

from tests.helpers.engine import Engine

# Fibers 1 to 4 stand in line and note what they were told; `order` tells who woke in which order.
LINE = """
local fibers = require('beespace.engine.fibers')
local waiters = require('beespace.engine.waiters')
local list, order, records, entries = {}, {}, {}, {}
local function turn() for _ = 1, 2 do fibers.run_ready() end end
for k = 1, 4 do
  entries[k] = {}
  records[k] = fibers.create(function()
    local woken = waiters.wait(list, entries[k])
    order[#order + 1] = k .. (woken and ' woken' or ' late')
  end)
end
local function names()
  local found = {}
  local entry = list.first
  while entry do
    for k = 1, 4 do
      if entry == entries[k] then found[#found + 1] = k end
    end
    entry = entry.after
  end
  return table.concat(found, ' ')
end
local function finish()
  waiters.wake_all(list)
  turn()
  assert(list.first == nil and list.last == nil)
  return table.concat(order, ', ')
end
"""


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ("", b"1 woken, 2 woken, 3 woken, 4 woken"),
        ("waiters.wake(entries[3]) turn()", b"3 woken, 1 woken, 2 woken, 4 woken"),
        ("waiters.wake(waiters.first(list)) turn()", b"1 woken, 2 woken, 3 woken, 4 woken"),
        ("fibers.wake(records[2]) turn()", b"2 woken, 1 woken, 3 woken, 4 woken"),
        ("fibers.cancel(records[4]) turn()", b"4 woken, 1 woken, 2 woken, 3 woken"),
        ("fibers.cancel(records[1]) turn()", b"1 woken, 2 woken, 3 woken, 4 woken"),
    ],
)
def test_order(engine: Engine, steps: str, expected: bytes) -> None:
    assert engine.execute(LINE + steps + " return finish()") == expected


def test_who_was_woken_otherwise_is_not_first(engine: Engine) -> None:
    source = """
        fibers.wake(records[1])
        fibers.cancel(records[2])
        local first = waiters.first(list) == entries[3]
        local line = names()
        return first, line, finish()"""
    assert engine.execute(LINE + source) == (
        True,
        b"3 4",
        b"1 woken, 2 woken, 3 woken, 4 woken",
    )


def test_who_waits_again_stands_at_the_front(engine: Engine) -> None:
    source = """
        local again = {}
        local record = fibers.create(function()
          waiters.wait(list, again)
          waiters.wait(list, again)
          order[#order + 1] = 'again'
        end)
        fibers.wake(record)
        turn()
        return waiters.first(list) == again, finish()"""
    assert engine.execute(LINE + source) == (True, b"again, 1 woken, 2 woken, 3 woken, 4 woken")


def test_the_time_is_over(engine: Engine) -> None:
    source = """
        finish()
        order = {}
        local late = fibers.create(function()
          order[1] = tostring(waiters.wait(list, {}, 0.001))
        end)
        fibers.settle(late)
        return order[1], list.first"""
    assert engine.execute(LINE + source) == (b"false", None)
