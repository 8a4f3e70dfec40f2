-- When waiting fibers are due: a binary heap of records by deadline.
--
-- Called by engine/fibers. A record waits once at most and knows its place in the heap, so a
-- fiber that is woken early leaves nothing behind. The earliest deadline is in the state, where
-- the loop compares it with the clock once a turn.

local state = require('beespace.engine.state')

local floor = math.floor
local st = state.st
local FOREVER = state.FOREVER

local timers = {}

local heap, count = {}, 0

local function put(record, at)
  heap[at] = record
  record.timer = at
end

-- Move the record at `at` up until its parent is earlier.
local function rise(record, at)
  local deadline = record.deadline
  while at > 1 do
    local above = floor(at / 2)
    local parent = heap[above]
    if parent.deadline <= deadline then
      break
    end
    put(parent, at)
    at = above
  end
  put(record, at)
end

-- Move the record at `at` down until its children are later.
local function sink(record, at)
  local deadline = record.deadline
  while true do
    local below = at * 2
    if below > count then
      break
    end
    local child = heap[below]
    if below < count and heap[below + 1].deadline < child.deadline then
      below = below + 1
      child = heap[below]
    end
    if child.deadline >= deadline then
      break
    end
    put(child, at)
    at = below
  end
  put(record, at)
end

local function publish()
  st.next_timer = count > 0 and heap[1].deadline or FOREVER
end

-- Let a record wait until `deadline`, seconds of the monotonic clock.
function timers.set(record, deadline)
  record.deadline = deadline
  count = count + 1
  rise(record, count)
  publish()
end

-- Forget a record; nothing happens when it does not wait.
function timers.cancel(record)
  local at = record.timer
  if at == 0 then
    return
  end
  record.timer = 0
  local last = heap[count]
  heap[count] = nil
  count = count - 1
  if last ~= record then
    if at > 1 and heap[floor(at / 2)].deadline > last.deadline then
      rise(last, at)
    else
      sink(last, at)
    end
  end
  publish()
end

-- Take the earliest record out when it is due at `now`; nil when none is.
function timers.pop(now)
  local record = heap[1]
  if record == nil or record.deadline > now then
    return nil
  end
  timers.cancel(record)
  return record
end

-- Records that wait.
function timers.count()
  return count
end

return timers
