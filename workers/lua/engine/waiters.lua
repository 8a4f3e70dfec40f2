-- A line of fibers that wait for the same thing: readers of a channel, fibers at a cond, joiners.
--
--   wait(list, entry, seconds)   the current fiber stands at the end until it is woken; one that
--                                waits again with the same entry stands at the front
--   first(list)                  the entry of the first one that still waits
--   wake(entry)                  takes it out of the line and makes its fiber ready
--
-- An entry is a table of the caller's, where both sides leave what they tell each other. A fiber
-- that is woken by anything else, be it its timeout, a cancellation or fiber.wakeup, has left the
-- line although it has not run yet: nothing is handed to it any more.

local fibers = require('beespace.engine.fibers')

local current, try_suspend, wake = fibers.current, fibers.try_suspend, fibers.wake
local error = error
local CANNOT_YIELD = fibers.CANNOT_YIELD

-- Level of the function that called the caller of check(), from inside the scheduler's function,
-- and of the one that called the caller of wait().
local CHECKED, WAITING = 5, 3

local waiters = {}

-- Take an entry out of its line.
local function remove(entry)
  local list, before, after = entry.list, entry.before, entry.after
  entry.list, entry.before, entry.after = nil, nil, nil
  if before ~= nil then
    before.after = after
  else
    list.first = after
  end
  if after ~= nil then
    after.before = before
  else
    list.last = before
  end
end

local function append(list, entry)
  local last = list.last
  entry.list, entry.before = list, last
  if last ~= nil then
    last.after = entry
  else
    list.first = entry
  end
  list.last = entry
end

local function prepend(list, entry)
  local first = list.first
  entry.list, entry.after = list, first
  if first ~= nil then
    first.before = entry
  else
    list.last = entry
  end
  list.first = entry
end

-- Called before a wait that a cancelled fiber shall not begin: raises in one, after a turn.
function waiters.check()
  if current().cancelled then
    fibers.suspend(0, CHECKED)
  end
end

-- Let the current fiber wait in line: true when it was woken, false when `seconds` are over (nil:
-- never). Raises where nothing can wait, naming the place of the caller's caller.
function waiters.wait(list, entry, seconds)
  if entry.record == nil then
    entry.record = current()
    append(list, entry)
  else
    prepend(list, entry)
  end
  local woken = try_suspend(seconds)
  if entry.list ~= nil then
    remove(entry)
  end
  if woken == nil then
    error(CANNOT_YIELD, WAITING)
  end
  return woken
end

-- The first entry whose fiber still waits, nil when there is none.
function waiters.first(list)
  local entry = list.first
  while entry ~= nil and entry.record.status ~= 'suspended' do
    remove(entry)
    entry = list.first
  end
  return entry
end

function waiters.wake(entry)
  remove(entry)
  wake(entry.record)
end

-- Wake everybody in line, in order.
function waiters.wake_all(list)
  local entry = waiters.first(list)
  while entry ~= nil do
    waiters.wake(entry)
    entry = waiters.first(list)
  end
end

return waiters
