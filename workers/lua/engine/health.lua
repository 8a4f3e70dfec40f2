-- Figures of this worker that others read: Lua heap, fibers, traces and their aborts, loop turns.
--
-- main() starts it; the loop publishes once a tick. Trace aborts are counted always (they are
-- rare) and logged behind the developer switch, since each one is a piece of the request path that
-- may stay interpreted.
--
-- Functions that raise errors while LuaJIT records them leave such pieces behind: with 40
-- functions in rotation a request then costs 200 to 300 ns instead of 60 to 110. Throwing all
-- traces away and warming up again brings the speed back, and it stays: the traces of the healthy
-- functions are recorded first. It takes up to 0.1 s, so the pauses between two cures double, up
-- to an hour.

local jit = require('jit')
local jit_util = require('jit.util')
local records = require('beespace.engine.fiber_records')
local shared = require('beespace.engine.table')
local state = require('beespace.engine.state')

local max = math.max
local st = state.st
local collectgarbage, tonumber, tostring = collectgarbage, tonumber, tostring

local FIRST_CURE = 2
local LONGEST_PAUSE = 3600
-- Aborts since the last cure that make another one worth while.
local TOO_MANY_ABORTS = 8

-- LuaJIT's reasons, by number, that lie in how the code is built and would come again: a root trace
-- left its loop, or met another one; a loop went round too seldom, or a trace could not return
-- below where it began. Requests that wait make dozens.
local BY_NATURE = {[8] = true, [9] = true, [10] = true, [16] = true}

-- spoilt: aborts that may have left a piece of the request path to the interpreter.
local health = {traces = 0, aborts = 0, spoilt = 0}

-- Those of them that the row has.
local published = {traces = 0, aborts = 0}

-- The longest turns, in seconds, of this window of tellings and of the one before.
local turns = {before = 0, now = 0, told = 0}
local WINDOW = 5

local cure = {spoilt = 0, pause = FIRST_CURE, not_before = 0}

local log_abort

local function where(func, pc)
  local info = jit_util.funcinfo(func, pc)
  return info.loc or tostring(info.addr or func)
end

local function on_trace(what, trace, func, pc, reason)
  if what == 'stop' then
    health.traces = health.traces + 1
  elseif what == 'abort' then
    health.aborts = health.aborts + 1
    if not BY_NATURE[reason] then
      health.spoilt = health.spoilt + 1
    end
    if log_abort ~= nil then
      log_abort(('trace %d aborted at %s: %s'):format(trace, where(func, pc), tostring(reason)))
    end
  end
end

-- Count trace events from now on; `log` is called with a text for every abort, or is nil.
function health.start(log)
  log_abort = log
  jit.attach(on_trace, 'trace')
end

-- Whether the traces should be made anew at `now`, seconds of a monotonic clock.
function health.needs_cure(now)
  return health.spoilt - cure.spoilt >= TOO_MANY_ABORTS and now >= cure.not_before
end

-- What happened until `now` does not count any more.
function health.settle(now)
  cure.spoilt = health.spoilt
  cure.not_before = now + cure.pause
end

-- Throw all traces away and compile the request path again by calling `warm`.
function health.cure(now, warm)
  jit.flush()
  warm()
  cure.pause = math.min(cure.pause * 2, LONGEST_PAUSE)
  health.settle(now)
end

-- The loop begins to turn at `now`, seconds of a monotonic clock.
function health.begin(now)
  st.woke, st.longest = now, 0
  turns.before, turns.now, turns.told = 0, 0, 0
end

-- The longest turn of the last WINDOW tellings, and of up to as many before.
local function longest_turn()
  turns.now = max(turns.now, st.longest)
  st.longest = 0
  local longest = max(turns.now, turns.before)
  turns.told = turns.told + 1
  if turns.told == WINDOW then
    turns.before, turns.now, turns.told = turns.now, 0, 0
  end
  return longest
end

-- Write the figures into the worker's row; once a second.
function health.publish()
  local row = shared.row
  row.loop_time = longest_turn() * 1e9
  row.lua_heap = tonumber(collectgarbage('count')) * 1024
  row.fibers = records.count
  -- The row goes on with what processes before this one have counted.
  row.jit_traces = row.jit_traces + (health.traces - published.traces)
  row.jit_aborts = row.jit_aborts + (health.aborts - published.aborts)
  published.traces, published.aborts = health.traces, health.aborts
end

return health
