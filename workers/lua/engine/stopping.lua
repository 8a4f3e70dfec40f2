-- The orderly end of a worker.
--
--   begin   announcements (box.shutdown = true), then the shutdown functions, each in a fiber
--     |     requests are still taken and answered
--     v
--   until nobody holds it up any more, or the time is over: a request that waits, a client that
--   watches box.shutdown, a shutdown function that still runs
--     v
--   what still waits is cancelled, and its client told so; sessions are closed, their on_disconnect
--   runs for as long as is left of the time; the loop stops
--
-- engine/main begins it when the supervisor asks to stop. Whoever can hold the end up registers a
-- question with hold(), and calls look() when its answer may have changed.

local errors = require('beespace.box.error')
local fibers = require('beespace.engine.fibers')
local flight = require('beespace.engine.flight')
local sessions = require('beespace.engine.sessions')

local ipairs, max, pairs, pcall = ipairs, math.max, pairs, pcall

-- Seconds that cancelled requests have to be answered.
local LAST_WORDS = 0.2

local stopping = {
  -- Seconds that the end may be held up.
  timeout = 3,
  -- Called at the begin; engine/main puts box.shutdown there.
  announce = function() end,
  -- Hands every shutdown function to its argument; box/ctl sets it.
  triggers = function(_) end,
  -- Called with the text of what a shutdown function raised.
  failed = function(_) end,
  -- Whether functions of on_disconnect run; engine/visits sets it.
  departing = function() return false end,
  -- What makes the loop stop.
  finish = function() end,
}

local holds = {function() return flight.total > 0 end}
local record
local running = 0

-- Ask `question` before the end: true holds it up.
function stopping.hold(question)
  holds[#holds + 1] = question
end

-- Whether the end has begun.
function stopping.begun()
  return record ~= nil
end

local function held()
  for _, question in ipairs(holds) do
    if question() then
      return true
    end
  end
  return running > 0
end

-- Look again whether somebody holds the end up.
function stopping.look()
  if record ~= nil then
    fibers.wake(record)
  end
end
flight.released = stopping.look

local function run_trigger(trigger)
  running = running + 1
  fibers.start(function()
    local ok, raised = pcall(trigger)
    if not ok then
      stopping.failed(errors.describe(raised))
    end
    running = running - 1
    stopping.look()
  end)
end

-- Wait until nobody holds the end up, `seconds` at most.
local function wait(seconds, is_held)
  local deadline = fibers.clock() + seconds
  local left = seconds
  while left > 0 and is_held() do
    fibers.suspend_quietly(left)
    left = deadline - fibers.clock()
  end
end

local function requests_wait()
  return flight.total > 0
end

local function cancel_all()
  for _, each in pairs(fibers.by_id) do
    if each ~= record then
      each.cancelled = true
    end
  end
  for _, each in pairs(fibers.by_id) do
    fibers.wake(each)
  end
end

local function run()
  record = fibers.current()
  local deadline = fibers.clock() + stopping.timeout
  stopping.announce()
  stopping.triggers(run_trigger)
  wait(stopping.timeout, held)
  cancel_all()
  wait(LAST_WORDS, requests_wait)
  sessions.dismiss()
  wait(max(deadline - fibers.clock(), LAST_WORDS), stopping.departing)
  stopping.finish()
end

-- Begin the end, once.
function stopping.begin()
  if record == nil then
    record = fibers.start(run)
  end
end

return stopping
