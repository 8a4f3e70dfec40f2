-- What applications are told of a session, as a table: made of the copy of its slot.
--
--   id, type, user, uid, peer, listener, worker, state, connected, age, idle, requests, in_flight,
--   bytes_in, bytes_out, pending_out, inbox_bytes, name, attrs, reason
--
-- box/session_list gives such rows; engine/roster orders sessions by what key() reads. What a
-- session does not have is nil: a name, a user that was dropped, the reason while it does not end.
-- `worker` is the number that people see; `time` and `clock` are the calendar's seconds and those
-- of the monotonic clock.

local catalog = require('beespace.engine.catalog')
local ffi = require('ffi')
local filters = require('beespace.engine.filters')
local labels = require('beespace.engine.labels')
local shared = require('beespace.engine.table')

local pairs, tonumber = pairs, tonumber
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

-- Fields by name, each read from the copy of a slot.

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

-- What sessions can be ordered by: functions of a copy, the time and the clock that give a number
-- or a text.
session_rows.keys = {
  id = function(slot) return tonumber(slot.id) end,
  type = function(slot) return TYPES[slot.type] or '' end,
  user = function(slot) return user(slot) or '' end,
  uid = function(slot) return slot.uid end,
  peer = function(slot) return peer(slot) or '' end,
  listener = function(slot) return listener(slot) or '' end,
  worker = worker,
  state = function(slot) return STATES[slot.state] or '' end,
  connected = function(slot) return slot.connected end,
  age = age_of,
  idle = idle_of,
  requests = function(slot) return tonumber(slot.requests) end,
  in_flight = function(slot) return slot.in_flight end,
  bytes_in = function(slot) return tonumber(slot.bytes_in) end,
  bytes_out = function(slot) return tonumber(slot.bytes_out) end,
  pending_out = function(slot) return slot.pending_out end,
  inbox_bytes = function(slot) return slot.inbox_bytes end,
  name = labels.name,
  reason = function(slot) return REASONS[slot.reason] or '' end,
}

return session_rows
