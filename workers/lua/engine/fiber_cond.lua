-- Condition variables, what fiber.cond() makes: fibers wait until another one says that something
-- has changed.
--
-- wait() answers true also when the fiber was woken by fiber.wakeup, so a caller looks at its
-- condition again.

local arguments = require('beespace.engine.arguments')
local encode = require('beespace.engine.encode')
local errors = require('beespace.box.error')
local fibers = require('beespace.engine.fibers')
local waiters = require('beespace.engine.waiters')

local error, select, setmetatable = error, select, setmetatable

-- Where an object keeps its line of waiters.
local LINE = {}

local methods = {}

-- The line of a cond.
local line_of = arguments.reader(LINE, 'fiber.cond')

local function wait(line, seconds)
  waiters.check()
  local woken = waiters.wait(line, {}, seconds)
  fibers.check()
  if not woken then
    errors.typed('TimedOut', 'timed out')
  end
  return woken
end

-- Wait until woken: wait([timeout]); false when the time is over. A tail call, as in
-- engine/fiber_channel.
function methods.wait(...)
  local cond, timeout = ...
  local line = line_of(cond, select('#', ...), 'cond:wait([timeout])')
  local valid, seconds = arguments.timeout(timeout)
  if not valid then
    error('usage: cond:wait([timeout])', 2)
  end
  return wait(line, seconds)
end

-- Wake the fiber that has waited longest.
function methods.signal(...)
  local entry = waiters.first(line_of((...), select('#', ...), 'cond:signal()'))
  if entry ~= nil then
    waiters.wake(entry)
  end
end

-- Wake every fiber that waits.
function methods.broadcast(...)
  waiters.wake_all(line_of((...), select('#', ...), 'cond:broadcast()'))
end

local metatable = {
  __index = methods,
  __metatable = 'fiber.cond',
  __newindex = function()
    error('attempt to index a userdata value', 2)
  end,
  __serialize = encode.refuse,
  __tostring = function()
    return 'cond'
  end,
}

local cond = {}

function cond.new()
  return setmetatable({[LINE] = {}}, metatable)
end

return cond
