-- The memory of the event store: a log in two halves, in the segment.
--
--   half:  version of its beginning | record | record | ... | free
--   record (8-byte steps):  version, length of key and value | key | value
--
-- header.event_generation says which half is in use and how much of it (engine/halves); its upper
-- half counts the compactions.
--
-- engine/events calls this file: append() and compact() while it holds the lock, copy() at any
-- time.

local ffi = require('ffi')
local halves = require('beespace.engine.halves')
local shared = require('beespace.engine.table')

local cast, copy, to_string = ffi.cast, ffi.copy, ffi.string
local floor, tonumber = math.floor, tonumber

ffi.cdef [[
typedef struct {
  uint64_t version;
  uint32_t key;      /* bytes of the key */
  uint32_t value;    /* bytes of the value, REMOVED: the key has none any more */
} bee_event_t;
]]

local HALF_HEAD, HEAD = 8, ffi.sizeof('bee_event_t')
local REMOVED = 0xffffffff
local event_p, u64p = ffi.typeof('bee_event_t *'), ffi.typeof('uint64_t *')

local log = {
  HALF_HEAD = HALF_HEAD,
  REMOVED = REMOVED,
  -- Bytes of one half.
  half = 0,
}

local header, memory

-- Look at the events of the segment that engine/table is attached to.
function log.attach()
  header = shared.header
  local base = cast('uint8_t *', header)
  memory = halves.new(base + tonumber(header.events_offset), tonumber(header.events_size),
    base + ffi.offsetof('bee_header_t', 'event_generation'))
  log.half = memory.half
  log.copy, log.done = memory.copy, memory.done
end

-- The lock that writers hold.
function log.lock()
  return header.event_lock
end

-- The word that moves with every event, for comparison.
function log.word()
  return header.event_generation
end

-- Epoch, and bytes in use of its half.
function log.extent()
  local epoch, length = memory.extent()
  return epoch, length > HALF_HEAD and length or HALF_HEAD
end

-- Version at the beginning of a half of which `bytes` is a copy.
function log.begun(bytes)
  return tonumber(cast(u64p, bytes)[0])
end

-- Bytes of a record.
function log.size(key_length, value_length)
  return floor((HEAD + key_length + (value_length == REMOVED and 0 or value_length) + 7) / 8) * 8
end

-- The record at `bytes`: key, version, where the value begins behind `bytes`, length of the value.
function log.record(bytes)
  local event = cast(event_p, bytes)
  return to_string(bytes + HEAD, event.key), tonumber(event.version), HEAD + event.key, event.value
end

local function write(at, key, value, version)
  local event = cast(event_p, at)
  event.version = version
  event.key = #key
  event.value = value == nil and REMOVED or #value
  copy(at + HEAD, key, #key)
  if value ~= nil then
    copy(at + HEAD + #key, value, #value)
  end
end

-- Add a record behind the last one, whose end is `at`; there is room.
function log.append(epoch, at, key, value, version)
  write(memory.half_of(epoch) + at, key, value, version)
  memory.commit(epoch, at + log.size(#key, value == nil and REMOVED or #value))
end

-- Begin the next epoch with the records that `records` still has ({at =, size =} by key), without
-- that of `key`, and with a new one for it unless `value` is nil. All that happens at once.
function log.compact(epoch, length, records, key, value, version)
  local from, to = memory.half_of(epoch), memory.half_of(epoch + 1)
  cast(u64p, to)[0] = version
  local at, used = HALF_HEAD, HALF_HEAD
  while at < length do
    local name, _, _, value_length = log.record(from + at)
    local size = log.size(#name, value_length)
    local record = records[name]
    if record ~= nil and record.at == at and name ~= key then
      copy(to + used, from + at, size)
      used = used + size
    end
    at = at + size
  end
  if value ~= nil then
    write(to + used, key, value, version)
    used = used + log.size(#key, #value)
  end
  memory.commit(epoch + 1, used)
end

return log
