-- Puts values that describe themselves and reads those of all others; run by events_process.py.
--
-- Process p has the keys 'p:1' ... 'p:8'. The value number n of a key is made of key and n alone.
-- When put() has returned, n goes into a slot of the segment: from then on nobody may read an older
-- value. Everybody also puts and removes the keys 'shared' and 'sometimes'.

local address, cdef, facts, me = ...

local ffi = require('ffi')
local shared = require('beespace.engine.table')
shared.declare(cdef, facts)
shared.attach(address, 0)
local events = require('beespace.engine.events')
require('beespace.engine.bus').broadcast = function() end
events.attach()

local KEYS, PROCESSES, STEPS = 8, 4, 500

local function done(process, key)
  return ffi.cast('volatile uint64_t *', shared.slots + (process * KEYS + key)) + 16
end

local function value_of(key, number)
  local length = number * 7919 % 900
  return ('%s=%d:'):format(key, number) .. string.char(97 + number % 26):rep(length)
end

local function number_of(key, value)
  local number = tonumber(value:match('^[^=]+=(%d+):'))
  if number == nil or value ~= value_of(key, number) then
    error(('torn: %s has %q'):format(key, value), 0)
  end
  return number
end

local function read(process, key)
  local least = tonumber(done(process, key)[0])
  local name = process .. ':' .. key
  local value = events.get(name)
  local number = value and number_of(name, value) or 0
  if number < least then
    error(('lost: %s is number %d, and %d was put'):format(name, number, least), 0)
  end
  return number
end

local function put(name, value)
  local ok, why = events.put(name, value)
  if not ok then
    error(why, 0)
  end
end

local last = {}
for key = 1, KEYS do
  last[key] = read(me, key)
  if last[key] > tonumber(done(me, key)[0]) + 1 then
    error('a value was put that nobody has put', 0)
  end
end

local told = {}
events.listen(function(key, version)
  if told[key] ~= nil and version < told[key] then
    error(('back: %s went from version %d to %d'):format(key, told[key], version), 0)
  end
  told[key] = version
end)

return function()
  for _ = 1, STEPS do
    local key = math.random(KEYS)
    local number = last[key] + 1
    put(me .. ':' .. key, value_of(me .. ':' .. key, number))
    done(me, key)[0] = number
    last[key] = number
    read(math.random(0, PROCESSES - 1), math.random(KEYS))
    put('shared', value_of('shared', math.random(100000)))
    number_of('shared', events.get('shared'))
    put('sometimes', math.random() < 0.5 and value_of('sometimes', math.random(9)) or nil)
    local sometimes = events.get('sometimes')
    if sometimes ~= nil then
      number_of('sometimes', sometimes)
    end
    if math.random() < 0.1 then
      events.poll()
    end
  end
end
