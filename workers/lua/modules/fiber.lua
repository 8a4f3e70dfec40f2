-- Fibers: require('fiber'). Code that runs side by side with other code of this worker and lets it
-- run whenever it waits.
--
--   create, new, self, find            objects of fibers; see engine/fiber_object for their methods
--   id, name, status, cancel, kill,    the methods as functions
--   testcancel, join, set_joinable,
--   wakeup
--   sleep, yield                       wait for a time, let the others run
--   channel, cond                      engine/fiber_channel, engine/fiber_cond
--   time, clock, time64, clock64       seconds since 1970 and of the monotonic clock, microseconds
--   info                               the fibers of this worker
--
-- A fiber that a request creates belongs to no session and runs as the user the request runs as,
-- or as admin with compat.fiber_user = 'old'.

local arguments = require('beespace.engine.arguments')
local channel = require('beespace.engine.fiber_channel')
local clock = require('clock')
local cond = require('beespace.engine.fiber_cond')
local fiber_object = require('beespace.engine.fiber_object')
local fibers = require('beespace.engine.fibers')

local getinfo = debug.getinfo
local error, pairs, select, type = error, pairs, select, type
local current, suspend = fibers.current, fibers.suspend
local find, object_of, methods = fiber_object.find, fiber_object.of, fiber_object.methods

-- Level of the function that called sleep or yield, from inside the scheduler's function.
local USER = 4
-- Lines of a backtrace.
local DEEPEST = 64

local fiber = {
  id = methods.id,
  name = methods.name,
  status = methods.status,
  cancel = methods.cancel,
  kill = methods.cancel,
  testcancel = methods.testcancel,
  join = methods.join,
  set_joinable = methods.set_joinable,
  wakeup = methods.wakeup,
  channel = channel.new,
  cond = cond.new,
  time = clock.time,
  clock = clock.monotonic,
}

-- Run f(...) in a fiber of its own, now, until it waits or ends; the fiber.
function fiber.create(f, ...)
  if type(f) ~= 'function' then
    error('fiber.create(function, ...): bad arguments', 2)
  end
  return object_of(fibers.create(f, ...))
end

-- The same, but it begins when the current fiber waits.
function fiber.new(f, ...)
  if type(f) ~= 'function' then
    error('fiber.new(function, ...): bad arguments', 2)
  end
  return object_of(fibers.start(f, ...))
end

-- The current fiber.
function fiber.self()
  return object_of(current())
end

-- The fiber with this id, nil when there is none.
function fiber.find(...)
  if select('#', ...) ~= 1 then
    error('fiber.find(id): bad arguments', 2)
  end
  local id = arguments.number((...))
  local record = id and find(id)
  return record and object_of(record) or nil
end

local function wait(seconds)
  suspend(seconds, USER)
end

-- Wait for some seconds; 0 lets the others run. A tail call: traces of what follows a wait cannot
-- leave a function with a variable number of arguments.
function fiber.sleep(...)
  local seconds = arguments.number((...))
  if select('#', ...) ~= 1 or seconds == nil or seconds ~= seconds then
    error('fiber.sleep(delay): bad arguments', 2)
  end
  return wait(seconds)
end

-- Let every other fiber that is ready run.
function fiber.yield()
  suspend(0, USER)
end

function fiber.time64()
  return clock.time64() / 1000ULL
end

function fiber.clock64()
  return clock.monotonic64() / 1000ULL
end

-- One line of a backtrace, nil for our own functions and those of C.
local function line_of(at)
  if at.currentline < 0 or at.source:find('^@beespace/') then
    return nil
  end
  return {L = ('%s in %s at line %d'):format(at.name or '(unnamed)', at.source, at.currentline)}
end

local function backtrace(record)
  local lines = {}
  for level = 1, DEEPEST do
    local at
    if record == current() then
      at = getinfo(level + 1, 'nSl')
    elseif record.thread then
      at = getinfo(record.thread, level - 1, 'nSl')
    end
    if at == nil then
      break
    end
    lines[#lines + 1] = line_of(at)
  end
  return lines
end

local function described(record, with_backtrace)
  return {
    fid = fibers.id(record),
    name = record.name,
    csw = record.switches,
    time = 0,
    memory = {used = 0, total = 0},
    backtrace = with_backtrace and backtrace(record) or nil,
  }
end

-- The fibers of this worker by id: info([options]); options: backtrace or bt, false leaves it out.
function fiber.info(options)
  local with = type(options) ~= 'table' or options.backtrace ~= false and options.bt ~= false
  local list = {}
  fibers.id(current())
  for id, record in pairs(fibers.by_id) do
    list[id] = described(record, with)
  end
  for id, record in pairs(fiber_object.unjoined) do
    list[id] = described(record, with)
  end
  return list
end

return fiber
