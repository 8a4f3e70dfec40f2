-- The orderly end of a worker.
--
--   begin   announcements (box.shutdown = true), then the shutdown functions, each in a fiber
--     |     requests are still taken and answered
--     v
--   until nobody holds it up any more, or the time is over: a request that waits, an answer that
--   its client has not read yet, a client that watches box.shutdown, a shutdown function that
--   still runs. With functions of on_disconnect that is SHARE of the time
--     |
--     v
--   what still waits is cancelled, but for on_disconnect, and its client told so; sessions are
--   closed, and on_disconnect runs for as long as is left of the time, and EXTRA
--     v
--   on_disconnect that still waits is cancelled too, and counted in the log; the loop stops
--
-- engine/loop begins it when the supervisor asks to stop. The supervisor kills one second after
-- `timeout`: EXTRA and two times LAST_WORDS leave it enough of that. Whoever can hold the end up
-- registers a question with hold(), owe() or part(), and calls look() when its answer may have
-- changed.

local errors = require('beespace.box.error')
local fibers = require('beespace.engine.fibers')
local flight = require('beespace.engine.flight')
local output = require('beespace.engine.output')
local sessions = require('beespace.engine.sessions')

local ipairs, max, min, pairs, pcall = ipairs, math.max, math.min, pairs, pcall

-- Seconds that what was cancelled has to come to its end.
local LAST_WORDS = 0.2
-- Part of the time that is for all others when on_disconnect has functions, and seconds after it
-- that are for these.
local SHARE, EXTRA = 2 / 3, 0.4
-- Seconds between two looks at what clients have read. All others who hold the end up say when they
-- do no more; here that would be a call for each answer of a request that waited, all the time.
local GLANCE = 0.02

local stopping = {
  -- Seconds that the end may be held up.
  timeout = 3,
  -- Called at the begin; engine/main puts box.shutdown there.
  announce = function() end,
  -- Hands every shutdown function to its argument; box/ctl sets it.
  triggers = function(_) end,
  -- Called with the text of what a shutdown function raised.
  failed = function(_) end,
  -- Whether sessions that end have functions to run; engine/visits sets it.
  has_farewells = function() return false end,
  -- Called with the number of on_disconnect that the end cuts off.
  cut_off = function(_) end,
  -- What makes the loop stop.
  finish = function() end,
}

local holds, debts, partings = {}, {}, {}
local record
local running = 0
-- Whether also on_disconnect is cancelled.
local over = false

-- Ask `question` before the end: true holds it up.
function stopping.hold(question)
  holds[#holds + 1] = question
end

-- The same, for what a client is to be told of when it is cancelled: that comes before the sessions
-- are closed.
function stopping.owe(question)
  debts[#debts + 1] = question
end
stopping.owe(function() return flight.total > 0 end)

-- The same for on_disconnect: `how_many` answers the number of those that are to run, or run. Their
-- fibers, which have `parting` in their records, are cancelled last.
function stopping.part(how_many)
  partings[#partings + 1] = how_many
end

-- Whether the end has begun.
function stopping.begun()
  return record ~= nil
end

-- Whether the running fiber is one that the end has cancelled.
function stopping.cancelled()
  return record ~= nil and fibers.current().cancelled
end

-- Whether on_disconnect raised this since it was cut off, which cut_off() has told.
function stopping.is_known(raised)
  return over and errors.from(raised).type == 'FiberIsCancelled'
end

local function any(questions)
  for _, question in ipairs(questions) do
    if question() then
      return true
    end
  end
  return false
end

local function owed()
  return any(debts)
end

local function departing()
  local count = 0
  for _, how_many in ipairs(partings) do
    count = count + how_many()
  end
  return count
end

local function are_departing()
  return departing() > 0
end

local function held()
  return running > 0 or owed() or any(holds) or are_departing() or output.waits() and GLANCE
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

-- Wait while `is_held`, until `deadline` at most. It answers true, or the seconds after which it is
-- to be asked again since nobody calls look().
local function wait(deadline, is_held)
  local left, holds_on = deadline - fibers.clock(), is_held()
  while left > 0 and holds_on do
    fibers.suspend_quietly(holds_on == true and left or min(left, holds_on))
    left, holds_on = deadline - fibers.clock(), is_held()
  end
end

-- The same with LAST_WORDS to go.
local function wait_shortly(is_held)
  wait(fibers.clock() + LAST_WORDS, is_held)
end

-- Cancel all fibers but this one, and but on_disconnect until its time is over.
local function cancel_all()
  for _, each in pairs(fibers.by_id) do
    if each ~= record and (over or not each.parting) then
      each.cancelled = true
    end
  end
  for _, each in pairs(fibers.by_id) do
    if each.cancelled then
      fibers.wake(each)
    end
  end
end

-- Send what requests have answered in this turn, close the sessions, and let on_disconnect run
-- until `deadline`.
local function part(deadline)
  output.send_unsent()
  sessions.dismiss()
  wait(max(deadline, fibers.clock() + LAST_WORDS), are_departing)
  local count = departing()
  if count > 0 then
    over = true
    stopping.cut_off(count)
    cancel_all()
    wait_shortly(are_departing)
  end
end

local function run()
  record = fibers.current()
  local begun, timeout = fibers.clock(), stopping.timeout
  stopping.announce()
  stopping.triggers(run_trigger)
  wait(begun + timeout * (stopping.has_farewells() and SHARE or 1), held)
  flight.over = true
  cancel_all()
  wait_shortly(owed)
  part(begun + timeout + EXTRA)
  stopping.finish()
end

-- Begin the end, once.
function stopping.begin()
  if record == nil then
    record = fibers.start(run)
  end
end

return stopping
