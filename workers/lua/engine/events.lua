-- The event store: the newest value of every key, the same for all workers of the server.
--
-- put() is called by box.broadcast and by whoever tells watchers something; get() by who tells one
-- watcher; the loop calls poll() before it waits, and that calls the listeners for every key that
-- has moved since, whichever worker moved it. Values are MessagePack bytes. The values are in the
-- segment (engine/event_log): they outlive the worker that put them, and a worker that starts
-- later has them all.
--
--   put -- lock, log, unlock --> segment --> poll() of every worker --> listeners
--    `--- nudge over the bus: a worker that sleeps wakes up and polls
--
-- Each worker keeps an index of the log: what it has not read yet is read when somebody asks.

local ffi = require('ffi')
local bridge = require('beespace.bridge')
local bus = require('beespace.engine.bus')
local locks = require('beespace.engine.locks')
local log = require('beespace.engine.event_log')

local to_string = ffi.string
local pairs, pcall, tostring = pairs, pcall, tostring
local HALF_HEAD, REMOVED = log.HALF_HEAD, log.REMOVED

ffi.cdef [[
typedef struct {
  uint64_t seen;    /* the log's word up to which the index goes */
  int untold;       /* 1: poll() has something to do, whatever the log's word says */
  int put;          /* 1: and it is to tell the other workers of it */
} bee_events_t;
]]

local MAX_KEY = 64 * 1024
-- Reads that may meet a compaction before a reader takes the lock.
local TRIES = 16
-- Bytes of a key that an error shows.
local SHOWN = 64
local NAME = 'the events'

local events = {MAX_KEY = MAX_KEY}

local now = ffi.new('bee_events_t')
-- What the loop asks: whether it must poll again before it sleeps.
events.now = now

-- The index of the log: {at =, size =, value =, length =, version =} by key, of those with a value.
local records = {}
local epoch, length, newest = 0, HALF_HEAD, 0
-- Keys that have moved and that no listener was told of, and their versions.
local moved, versions = {}, {}
local listeners = {}

local function note_moved(key, version)
  if versions[key] == nil then
    moved[#moved + 1] = key
    now.untold = 1
  end
  versions[key] = version
end

-- Read the records between `from` and `to`, of which `bytes` is a copy, into `index`.
local function absorb(bytes, from, to, index)
  local at = from
  while at < to do
    local key, version, value, value_length = log.record(bytes + (at - from))
    local size = log.size(#key, value_length)
    local before = records[key]
    if before == nil or before.version ~= version then
      note_moved(key, version)
    end
    index[key] = value_length ~= REMOVED
      and {at = at, size = size, value = at + value, length = value_length, version = version}
      or nil
    newest = version > newest and version or newest
    at = at + size
  end
end

-- Read a half from its beginning; keys that it has no more were removed.
local function absorb_half(bytes, to)
  local begun, index = log.begun(bytes), {}
  newest = begun > newest and begun or newest
  absorb(bytes + HALF_HEAD, HALF_HEAD, to, index)
  for key in pairs(records) do
    if index[key] == nil then
      note_moved(key, begun)
    end
  end
  records = index
end

-- Read what the log has and the index has not; false when the half was given up meanwhile.
local function try_to_catch_up()
  local word = log.word()
  if word == now.seen then
    return true
  end
  local current, to = log.extent()
  local from = current == epoch and length or 0
  local bytes = log.copy(current, from, to - from)
  if bytes == nil then
    return false
  end
  if from > 0 then
    absorb(bytes, from, to, records)
  else
    absorb_half(bytes, to)
  end
  log.done(to - from)
  epoch, length, now.seen = current, to, word
  return true
end

local function read(record)
  local bytes = log.copy(epoch, record.value, record.length)
  local value = bytes ~= nil and to_string(bytes, record.length) or nil
  log.done(record.length)
  return value
end

-- Catch up and read one value: whether that succeeded, the value and its version.
local function try_to_get(key)
  if not try_to_catch_up() then
    return false
  end
  local record = key ~= nil and records[key] or nil
  if record == nil then
    return true, nil, 0
  end
  local value = read(record)
  return value ~= nil, value, record.version
end

-- Newest value of a key with its version; nil and 0 when it has none. With the key nil it only
-- catches up.
function events.get(key)
  for _ = 1, TRIES do
    local ok, value, version = try_to_get(key)
    if ok then
      return value, version
    end
  end
  -- Who compacts again and again holds the lock in between.
  local _, value, version = locks.guarded(log.lock(), NAME, try_to_get, key)
  return value, version
end

-- Call `visit(key, value, version)` for every key that has a value and begins with `prefix`.
function events.each(prefix, visit)
  events.get(nil)
  local keys = {}
  for key in pairs(records) do
    if key:sub(1, #prefix) == prefix then
      keys[#keys + 1] = key
    end
  end
  for index = 1, #keys do
    local value, version = events.get(keys[index])
    if value ~= nil then
      visit(keys[index], value, version)
    end
  end
end

-- Putting -----------------------------------------------------------------------------------------

local function shown(key)
  local text = key:sub(1, SHOWN):gsub('[%c\127-\255]', '?')
  return #key > SHOWN and text .. '...' or text
end

-- Store under the lock: true, or nil and why not.
local function store(key, packed)
  try_to_catch_up()
  local size = log.size(#key, packed == nil and REMOVED or #packed)
  if length + size <= log.half then
    log.append(epoch, length, key, packed, newest + 1)
    return true
  end
  local used = HALF_HEAD
  for name, record in pairs(records) do
    used = used + (name == key and 0 or record.size)
  end
  if packed ~= nil and used + size > log.half then
    return nil, ("no room for event '%s': it needs %d bytes, %d of %d are free (events.memory)")
      :format(shown(key), size, math.max(log.half - used, 0), log.half)
  end
  log.compact(epoch, length, records, key, packed, newest + 1)
  return true
end

-- Give a key (a string of at most MAX_KEY bytes) a new value, or none when `packed` is nil: true,
-- or nil and a text when there is no room. Raises when the lock cannot be had.
function events.put(key, packed)
  if #key > MAX_KEY then
    return nil, ("the key of event '%s' has %d bytes, at most %d are allowed")
      :format(shown(key), #key, MAX_KEY)
  end
  local ok, why = locks.guarded(log.lock(), NAME, store, key, packed)
  if not ok then
    return nil, why
  end
  now.untold, now.put = 1, 1
  return true
end

-- Watching ----------------------------------------------------------------------------------------

-- Version of the newest event.
function events.generation()
  events.get(nil)
  return newest
end

-- Call `listener(key, version)` from poll() for every key that moves. It must not wait.
function events.listen(listener)
  listeners[#listeners + 1] = listener
end

-- Whether poll() has something to do.
function events.moved()
  return now.untold ~= 0 or log.word() ~= now.seen
end

local function tell()
  events.get(nil)
  local keys, of = moved, versions
  moved, versions = {}, {}
  now.untold = 0
  for index = 1, #keys do
    for each = 1, #listeners do
      local ok, raised = pcall(listeners[each], keys[index], of[keys[index]])
      if not ok then
        bridge.log('error', 'a listener of events failed: ' .. tostring(raised))
      end
    end
  end
end

-- Tell the listeners what has moved, and the other workers that something has.
function events.poll()
  now.untold = 0
  if now.put ~= 0 then
    now.put = 0
    bus.broadcast(bus.KIND.EVENT_NUDGE, '')
  end
  local ok, raised = pcall(tell)
  if not ok then
    bridge.log('error', 'events were not read: ' .. tostring(raised))
  end
end

-- Take part, once engine/table is attached to the segment.
function events.attach()
  log.attach()
end

return events
