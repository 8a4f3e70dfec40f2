-- Sessions that have ended, the last of them: rings in the segment, one for each row of a worker.
--
--   sessions.ended --> write(): what the slot has, into the ring of this worker
--   supervisor: those of dead workers, into the ring behind the last one (shm/history.py)
--   box/session_history --> rows(plan): the records of all rings that fit
--
-- A record's id is zeroed first and written last, so one that is written anew while it is copied
-- fails the second look at its id. engine/main attaches it.

local ffi = require('ffi')
local filters = require('beespace.engine.filters')
local selection = require('beespace.engine.selection')
local session_rows = require('beespace.engine.session_rows')
local sessions = require('beespace.engine.sessions')
local shared = require('beespace.engine.table')
local sys = require('beespace.engine.sys')
local turns = require('beespace.engine.turns')

local cast, copy = ffi.cast, ffi.copy
local min, tonumber = math.min, tonumber
local add, cut, give = selection.add, selection.cut, turns.give
local fits, row_of = filters.ended_fits, session_rows.ended
-- Records of one portion.
local STEP = 512

local history = {}

-- The records of all rings, how many a ring has, how many there are; this worker's ring; the copy
-- of one record.
local records, size, count, own, mine, bytes

-- Look at the history of the segment that engine/table is attached to; `row` is this worker's.
function history.attach(row)
  local header = shared.header
  records = cast('bee_end_t *', cast('uint8_t *', header) + tonumber(header.history_offset))
  size = tonumber(header.history)
  count = size * (tonumber(header.workers) + 1)
  own = records + row * size
  mine, bytes = ffi.new('bee_end_t'), ffi.sizeof('bee_end_t')
end

-- Write down the session `id` of this worker, whose slot is about to be freed.
function history.write(id)
  local slot, row = shared.slots[id % shared.capacity], shared.row
  if slot.id ~= id then
    return
  end
  local record = own[tonumber(row.buried % size)]
  record.id = 0
  record.connected, record.ended = slot.connected, sys.clock(sys.CLOCK_REALTIME)
  record.requests, record.bytes_in, record.bytes_out = slot.requests, slot.bytes_in, slot.bytes_out
  record.uid, record.number, record.type = slot.uid, row.number, slot.type
  record.listener, record.reason = slot.listener, slot.reason
  record.peer_len, record.name_len, record.attrs_len = slot.peer_len, slot.name_len, slot.attrs_len
  copy(record.peer, slot.peer, slot.peer_len)
  copy(record.text, slot.text, shared.TEXT_BYTES)
  record.id = id
  row.buried = row.buried + 1
end

local ended = sessions.ended
function sessions.ended(id)
  history.write(id)
  ended(id)
end

local function choose(plan, from, to, chosen, key, rows)
  for index = from, to do
    local record = records[index]
    local id = record.id
    copy(mine, record, bytes)
    if id ~= 0 and record.id == id and fits(plan, mine) then
      id = tonumber(id)
      if add(chosen, key(mine), id) then
        rows[id] = row_of(mine)
      end
    end
  end
end

-- Rows of the records that fit a plan, as it orders and limits them, the newest first unless it
-- says otherwise.
function history.rows(plan)
  local field, down = 'ended', true
  if plan.field ~= nil then
    field, down = plan.field, plan.down
  end
  local turn, chosen, rows = turns.begin(), selection.new(plan.limit, down), {}
  for from = 0, count - 1, STEP do
    choose(plan, from, min(from + STEP, count) - 1, chosen, session_rows.ended_keys[field], rows)
    cut(chosen, turn)
    give(turn)
  end
  local list = selection.finish(chosen, turn)
  for place = 1, #list do
    list[place] = rows[list[place]]
  end
  return list
end

return history
