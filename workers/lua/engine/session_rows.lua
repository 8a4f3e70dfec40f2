-- What applications are told of a session, as a table: made of the copy of its slot, or of its
-- record in the history once it has ended.
--
--   of         id, type, user, uid, peer, listener, worker, state, connected, age, idle, requests,
--              in_flight, bytes_in, bytes_out, pending_out, inbox_bytes, name, attrs, reason
--   ended      id, type, user, uid, peer, listener, worker, connected, ended, age, requests,
--              bytes_in, bytes_out, name, attrs, reason
--
-- engine/roster and engine/history give such rows, and order sessions by keys and ended_keys. What
-- a session does not have is nil: a name, a user that was dropped, the reason while it does not
-- end. `worker` is the number that people see; `time` and `clock` are the calendar's seconds and
-- those of the monotonic clock.

local catalog = require('beespace.engine.catalog')
local ffi = require('ffi')
local filters = require('beespace.engine.filters')
local labels = require('beespace.engine.labels')
local shared = require('beespace.engine.table')

local pairs, tonumber = pairs, tonumber
local max = math.max
local to_string = ffi.string
local age_of, idle_of = filters.age, filters.idle

local session_rows = {}

local function words(numbers)
  local by_number = {}
  for name, number in pairs(numbers) do
    by_number[number] = name:lower()
  end
  return by_number
end

local TYPES, REASONS = words(shared.type), words(shared.reason)
local STATES = {
  [shared.CLAIMED] = 'claimed', [shared.LIVE] = 'live', [shared.CLOSING] = 'closing',
}

-- Fields by name, each read from a copy.

local function user(slot)
  local found = catalog.principals[slot.uid]
  return found and found.name
end

local function peer(slot)
  local length = slot.peer_len
  return length > 0 and to_string(slot.peer, length) or nil
end

local function worker(slot)
  return tonumber(shared.rows[slot.worker].number)
end

local function listener(slot)
  return shared.listener(slot.listener)
end

local function name(slot)
  return slot.name_len > 0 and labels.name(slot) or nil
end

-- The table of a session.
function session_rows.of(slot, time, clock)
  return {
    id = tonumber(slot.id),
    type = TYPES[slot.type],
    user = user(slot),
    uid = slot.uid,
    peer = peer(slot),
    listener = listener(slot),
    worker = worker(slot),
    state = STATES[slot.state],
    connected = slot.connected,
    age = age_of(slot, time),
    idle = idle_of(slot, time, clock),
    requests = tonumber(slot.requests),
    in_flight = slot.in_flight,
    bytes_in = tonumber(slot.bytes_in),
    bytes_out = tonumber(slot.bytes_out),
    pending_out = slot.pending_out,
    inbox_bytes = slot.inbox_bytes,
    name = name(slot),
    attrs = labels.attributes(slot),
    reason = REASONS[slot.reason],
  }
end

local function lifetime(record)
  return max(record.ended - record.connected, 0)
end

-- The table of a session that has ended.
function session_rows.ended(record)
  return {
    id = tonumber(record.id),
    type = TYPES[record.type],
    user = user(record),
    uid = record.uid,
    peer = peer(record),
    listener = listener(record),
    worker = record.number,
    connected = record.connected,
    ended = record.ended,
    age = lifetime(record),
    requests = tonumber(record.requests),
    bytes_in = tonumber(record.bytes_in),
    bytes_out = tonumber(record.bytes_out),
    name = name(record),
    attrs = labels.attributes(record),
    reason = REASONS[record.reason],
  }
end

-- What sessions can be ordered by: functions of a copy, the time and the clock that give a number
-- or a text.
local keys = {
  state = function(slot) return STATES[slot.state] or '' end,
  worker = worker,
  age = age_of,
  idle = idle_of,
  in_flight = function(slot) return slot.in_flight end,
  pending_out = function(slot) return slot.pending_out end,
  inbox_bytes = function(slot) return slot.inbox_bytes end,
}

-- The same for those that have ended: functions of the copy of a record.
local ended_keys = {
  worker = function(record) return record.number end,
  ended = function(record) return record.ended end,
  age = lifetime,
}

-- With those that both have.
local function common(of)
  of.id = function(copy) return tonumber(copy.id) end
  of.type = function(copy) return TYPES[copy.type] or '' end
  of.user = function(copy) return user(copy) or '' end
  of.uid = function(copy) return copy.uid end
  of.peer = function(copy) return peer(copy) or '' end
  of.listener = function(copy) return listener(copy) or '' end
  of.connected = function(copy) return copy.connected end
  of.requests = function(copy) return tonumber(copy.requests) end
  of.bytes_in = function(copy) return tonumber(copy.bytes_in) end
  of.bytes_out = function(copy) return tonumber(copy.bytes_out) end
  of.name = labels.name
  of.reason = function(copy) return REASONS[copy.reason] or '' end
  return of
end

session_rows.keys, session_rows.ended_keys = common(keys), common(ended_keys)

return session_rows
