-- Channels, what fiber.channel(size) makes: values go from fibers that put to fibers that get, in
-- order, through a buffer of `size` values.
--
--   put: to the first reader in line | into the buffer | waits in the line of writers
--   get: out of the buffer, which takes the first writer's value in | from that writer | waits
--
-- Closing drops what is buffered and answers everybody in line with nothing. What can be done at
-- once is done also for a cancelled fiber; what would wait or fail raises then. Failing sets
-- box.error.last(): timed out, or channel is closed.

local arguments = require('beespace.engine.arguments')
local encode = require('beespace.engine.encode')
local errors = require('beespace.box.error')
local fibers = require('beespace.engine.fibers')
local waiters = require('beespace.engine.waiters')

local error, select, setmetatable, type = error, select, setmetatable, type
local floor = math.floor
local check, clock = fibers.check, fibers.clock
local first_of, wait_in, wake = waiters.first, waiters.wait, waiters.wake

local PUT_USAGE, GET_USAGE = 'channel:put(var [, timeout])', 'channel:get([timeout])'

-- Where an object keeps its state: size, buffer with the indices first and last, closed, and the
-- lines readers and writers.
local STATE = {}

local methods = {}

-- The state of a channel.
local state_of = arguments.reader(STATE, 'fiber.channel')

local function count_of(state)
  return state.last - state.first + 1
end

local function append(state, value)
  local last = state.last + 1
  state.last = last
  state.buffer[last] = value
end

local function take(state)
  local first = state.first
  local value = state.buffer[first]
  state.buffer[first] = nil
  if first == state.last then
    state.first, state.last = 1, 0
  else
    state.first = first + 1
  end
  return value
end

-- The value of the first writer in line, who may go on.
local function take_from(writer)
  writer.done = true
  wake(writer)
  return writer.value
end

-- Nothing can be had: raises in a cancelled fiber.
local function closed()
  check()
  errors.typed('ChannelIsClosed', 'channel is closed')
end

local function timed_out()
  check()
  errors.typed('TimedOut', 'timed out')
end

-- Methods that wait do so in a tail call: what follows a wait is compiled only when it returns to
-- no function with a variable number of arguments.

local function put(state, value, seconds)
  local deadline = seconds and clock() + seconds
  local writer = {value = value}
  while not state.closed do
    local reader = first_of(state.readers)
    if reader ~= nil then
      reader.done, reader.value = true, value
      wake(reader)
      return true
    elseif count_of(state) < state.size then
      append(state, value)
      return true
    end
    if seconds == 0 then
      timed_out()
      return false
    end
    waiters.check()
    local woken = wait_in(state.writers, writer, deadline and deadline - clock())
    if writer.done then
      return true
    end
    check()
    if not woken then
      timed_out()
      return false
    end
  end
  closed()
  return false
end

-- Give a value: put(value[, timeout]); false when the time is over or the channel closed.
function methods.put(...)
  local channel, value, timeout = ...
  local count = select('#', ...)
  local state = state_of(channel, count, PUT_USAGE)
  local valid, seconds = arguments.timeout(timeout)
  if count < 2 or not valid then
    error('usage: ' .. PUT_USAGE, 2)
  end
  return put(state, value, seconds)
end

local function get(state, seconds)
  local deadline = seconds and clock() + seconds
  local reader = {}
  while not state.closed do
    local writer = first_of(state.writers)
    if state.last > 0 then
      local value = take(state)
      if writer ~= nil then
        append(state, take_from(writer))
      end
      return value
    elseif writer ~= nil then
      return take_from(writer)
    end
    if seconds == 0 then
      timed_out()
      return nil
    end
    waiters.check()
    local woken = wait_in(state.readers, reader, deadline and deadline - clock())
    if reader.done then
      return reader.value
    end
    check()
    if not woken then
      timed_out()
      return nil
    end
  end
  closed()
  return nil
end

-- Take a value: get([timeout]); nil when the time is over or the channel closed.
function methods.get(...)
  local channel, timeout = ...
  local state = state_of(channel, select('#', ...), GET_USAGE)
  local valid, seconds = arguments.timeout(timeout)
  if not valid then
    error('usage: ' .. GET_USAGE, 2)
  end
  return get(state, seconds)
end

function methods.close(...)
  local state = state_of((...), select('#', ...), 'channel:close()')
  state.closed = true
  state.buffer, state.first, state.last = {}, 1, 0
  waiters.wake_all(state.readers)
  waiters.wake_all(state.writers)
end

function methods.is_closed(...)
  return state_of((...), select('#', ...), 'channel:is_closed()').closed
end

function methods.size(...)
  return state_of((...), select('#', ...), 'channel:size()').size
end

-- Values in the buffer.
function methods.count(...)
  return count_of(state_of((...), select('#', ...), 'channel:count()'))
end

function methods.is_empty(...)
  return count_of(state_of((...), select('#', ...), 'channel:is_empty()')) == 0
end

function methods.is_full(...)
  local state = state_of((...), select('#', ...), 'channel:is_full()')
  return count_of(state) >= state.size
end

-- Whether a fiber waits in get().
function methods.has_readers(...)
  return first_of(state_of((...), select('#', ...), 'channel:has_readers()').readers) ~= nil
end

-- Whether a fiber waits in put().
function methods.has_writers(...)
  return first_of(state_of((...), select('#', ...), 'channel:has_writers()').writers) ~= nil
end

local metatable = {
  __index = methods,
  __metatable = 'fiber.channel',
  __newindex = function()
    error('attempt to index a userdata value', 2)
  end,
  __serialize = encode.refuse,
  __tostring = function(channel)
    local state = channel[STATE]
    return 'channel: ' .. (state.closed and 'closed' or count_of(state))
  end,
}

local channel = {}

-- A channel whose buffer takes `size` values, none by default.
function channel.new(size)
  local number = 0
  if type(size) ~= 'nil' then
    number = arguments.number(size)
    if number == nil then
      error('fiber.channel(size): bad arguments', 2)
    elseif not (number > -1) then
      error('fiber.channel(size): negative size', 2)
    end
  end
  return setmetatable({
    [STATE] = {
      size = number > 0 and floor(number) or 0,
      buffer = {},
      first = 1,
      last = 0,
      closed = false,
      readers = {},
      writers = {},
    },
  }, metatable)
end

return channel
