-- Bus messages for one session: its id in eight bytes, a mark in four, then what it is sent.
--
-- Called by engine/inbox and engine/letters. The session may have ended on the way, so open() finds
-- its slot only where it is this worker's and live.

local ffi = require('ffi')
local bus = require('beespace.engine.bus')
local shared = require('beespace.engine.table')

local tonumber = tonumber

local parcel = {
  -- Where the content begins, counted from 0.
  HEAD = 12,
}

-- The id, and behind it the sender's mark.
local head = ffi.new('uint64_t[2]')
local mark_at = ffi.cast('uint32_t *', head + 1)

-- Queue a parcel for a session of the worker `owner`, with a mark of 32 bits; false when that
-- worker does not keep up.
function parcel.send(owner, kind, id, mark, content)
  head[0] = id
  mark_at[0] = mark
  return bus.send(owner, kind, ffi.string(head, parcel.HEAD) .. content)
end

-- The session that a received parcel is for, its slot and the mark; nil when it is not here any
-- more.
function parcel.open(payload)
  ffi.copy(head, payload, parcel.HEAD)
  local id = tonumber(head[0])
  local slot = shared.slots[id % shared.capacity]
  if slot.id == id and slot.worker == bus.index and shared.is_open(slot) then
    return id, slot, mark_at[0]
  end
  return nil
end

return parcel
