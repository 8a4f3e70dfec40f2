-- What applications hold of a fiber: the object that fiber.create, new, self and find return.
--
-- Each stands for one record of the scheduler, which keeps it, so that a fiber has one object. Its
-- methods are functions of the module too (modules/fiber), which take the object, and some of them
-- an id, first.
--
-- A joinable fiber that has ended stays, with its results, until somebody joins it: it can be
-- found, is called suspended, and takes no notice of being woken or cancelled.

local arguments = require('beespace.engine.arguments')
local errors = require('beespace.box.error')
local fibers = require('beespace.engine.fibers')
local waiters = require('beespace.engine.waiters')

local error, pairs, rawget, select, setmetatable, tostring, type, unpack =
  error, pairs, rawget, select, setmetatable, tostring, type, unpack
local floor = math.floor
local current, id_of = fibers.current, fibers.id

local DEAD = 'the fiber is dead'
local LONGEST_NAME = 255

-- Where an object keeps its record.
local RECORD = {}

-- Records of fibers that have ended and wait to be joined, by id.
local unjoined = {}

local methods, metatable = {}, {}

local fiber_object = {methods = methods, unjoined = unjoined}

-- The object of a record.
function fiber_object.of(record)
  local object = record.object
  if object == nil then
    object = setmetatable({[RECORD] = record}, metatable)
    record.object = object
  end
  return object
end

local function record_of(value)
  return type(value) == 'table' and rawget(value, RECORD) or nil
end

local function is_alive(record)
  fibers.tidy()
  return record.status ~= 'dead' or unjoined[record.id] == record
end

-- The record of a fiber that is alive, by id; nil when there is none.
function fiber_object.find(id)
  fibers.tidy()
  id = floor(id)
  return fibers.by_id[id] or unjoined[id]
end

-- The record that the first of `count` arguments of a method means, an object or an id.
local function target(value, count)
  local record = record_of(value)
  if record == nil and type(value) == 'number' then
    record = fiber_object.find(value)
  elseif record == nil then
    arguments.bad(1, 'fiber', arguments.type_of(value, count), 2)
  end
  if record == nil or not is_alive(record) then
    error(DEAD, 3)
  end
  return record
end

-- The record of an object, or of the current fiber without arguments.
local function object_or_current(value, count)
  local record = record_of(value)
  if record == nil then
    if count > 0 then
      arguments.bad(1, 'fiber', type(value), 2)
    end
    record = current()
  end
  return record
end

local function status_of(record)
  if not is_alive(record) then
    return 'dead'
  end
  return record == current() and 'running' or 'suspended'
end

-- Number of a fiber, also of a dead one: id([fiber]).
function methods.id(...)
  local record = object_or_current((...), select('#', ...))
  return id_of(record)
end

-- 'running', 'suspended' or 'dead': status([fiber]).
function methods.status(...)
  local record = object_or_current((...), select('#', ...))
  return status_of(record)
end

local function set_name(record, name, options)
  -- A name is a text of C there, which ends at the first zero.
  name = name:match('^%Z*')
  if #name > LONGEST_NAME then
    if type(options) ~= 'table' or options.truncate ~= true then
      error('Fiber name is too long', 3)
    end
    name = name:sub(1, LONGEST_NAME)
  end
  record.name = name
end

-- Read a name, or set it: name([fiber][, name[, options]]); options: truncate.
function methods.name(...)
  local count = select('#', ...)
  local first, second, third = ...
  local record, index = record_of(first), 2
  if record == nil then
    record, index, third, second = current(), 1, second, first
  elseif not is_alive(record) then
    error(DEAD, 2)
  end
  if count < index then
    return record.name
  end
  local kind = type(second)
  if kind ~= 'string' and kind ~= 'number' then
    arguments.bad(index, 'string', kind, 1)
  end
  set_name(record, tostring(second), third)
end

-- Ask a fiber to end: cancel(fiber). A fiber that cancels itself is left at once.
function methods.cancel(...)
  local record = target((...), select('#', ...))
  fibers.cancel(record)
  if record == current() then
    fibers.check()
  end
end

-- Make a waiting fiber go on: wakeup(fiber).
function methods.wakeup(...)
  local record = target((...), select('#', ...))
  fibers.wake(record)
end

-- Raise when the current fiber was cancelled: testcancel().
function methods.testcancel(...)
  if select('#', ...) > 0 then
    error('fiber.testcancel(): bad arguments', 2)
  end
  fibers.check()
end

local function ended(record)
  if record.results ~= nil then
    unjoined[id_of(record)] = record
  end
  waiters.wake_all(record.joiners)
end

-- Say whether a fiber's results are kept for join(): set_joinable(fiber, yes).
function methods.set_joinable(...)
  local count = select('#', ...)
  local value, yes = ...
  if count ~= 2 then
    error('fiber.set_joinable(id, yesno): bad arguments', 2)
  end
  local record = target(value, count)
  if record.request then
    error('the fiber of a request cannot be joined', 2)
  end
  record.joinable = yes and true or false
  if not yes then
    record.results, unjoined[id_of(record)] = nil, nil
  elseif record.joiners == nil then
    record.joiners = {}
    record.on_end = record.on_end or {}
    record.on_end[#record.on_end + 1] = ended
  end
end

local function outcome(ok, ...)
  if ok then
    return true, ...
  end
  return false, errors.from((...))
end

-- Wait for the end of a joinable fiber: join(fiber); true and its results, or false and its error.
-- Like Tarantool's, this wait cannot be cancelled.
function methods.join(...)
  local record = target((...), select('#', ...))
  if not record.joinable then
    error('the fiber is not joinable', 2)
  elseif record == current() then
    error('the fiber cannot join itself', 2)
  end
  while record.status ~= 'dead' do
    waiters.wait(record.joiners, {}, nil)
  end
  local results = record.results
  if results == nil then
    error(DEAD, 2)
  end
  record.results, unjoined[id_of(record)] = nil, nil
  return outcome(results.ok, unpack(results, 1, results.n))
end

-- How json, yaml, msgpack and the wire show a fiber.
function methods.__serialize(object)
  local record = record_of(object)
  if not is_alive(record) then
    return DEAD
  end
  return {id = id_of(record), name = record.name, status = status_of(record)}
end

function methods.__tostring(object)
  local record = record_of(object)
  if not is_alive(record) then
    error(DEAD, 2)
  end
  return 'fiber: ' .. id_of(record)
end

for name, method in pairs(methods) do
  metatable[name] = method
end

metatable.__metatable = 'fiber'

-- Methods, and storage: a table of the fiber's own, which goes with it.
function metatable.__index(object, key)
  local method = methods[key]
  if method ~= nil or key ~= 'storage' then
    return method
  end
  local record = record_of(object)
  if not is_alive(record) then
    error(DEAD, 2)
  end
  local storage = record.storage
  if storage == nil then
    storage = {}
    record.storage = storage
  end
  return storage
end

function metatable.__newindex()
  error('attempt to index a userdata value', 2)
end

return fiber_object
