-- Bus messages for one session: its id in eight bytes, then what it is sent.
--
-- Called by engine/inbox and engine/letters. The session may have ended on the way, so open() finds
-- its slot only where it is this worker's and live.

local ffi = require('ffi')
local bus = require('beespace.engine.bus')
local shared = require('beespace.engine.table')

local tonumber = tonumber

local parcel = {
  -- Where the content begins, counted from 0.
  HEAD = 8,
}

local id_buffer = ffi.new('uint64_t[1]')

-- Queue a parcel for a session of the worker `owner`; false when that worker does not keep up.
function parcel.send(owner, kind, id, content)
  id_buffer[0] = id
  return bus.send(owner, kind, ffi.string(id_buffer, parcel.HEAD) .. content)
end

-- The session that a received parcel is for, and its slot; nil when it is not here any more.
function parcel.open(payload)
  ffi.copy(id_buffer, payload, parcel.HEAD)
  local id = tonumber(id_buffer[0])
  local slot = shared.slots[id % shared.capacity]
  if slot.id == id and slot.worker == bus.index and slot.state == shared.LIVE then
    return id, slot
  end
  return nil
end

return parcel
