-- Packets for sessions of any worker, written by application code (box.iproto.send).
--
-- A session of this worker gets the packet at the end of the turn; for another worker's it travels
-- over the bus, and that worker queues it. Packets from one worker to one session keep their order.

local ffi = require('ffi')
local bus = require('beespace.engine.bus')
local output = require('beespace.engine.output')
local parcel = require('beespace.engine.parcel')
local shared = require('beespace.engine.table')

local cast, tonumber = ffi.cast, tonumber
local bytes_p = ffi.typeof('const uint8_t *')
local SEND = bus.KIND.SEND

local letters = {}

local function hand_over(slot, packet, from)
  output.later(tonumber(slot.fd), cast(bytes_p, packet) + from, #packet - from)
end

-- Send a packet to a session: true, or nil and why not: 'none' (no such session), 'closed',
-- 'console' (it reads no packets), 'early' before its greeting, 'busy' when its worker does not
-- keep up or has not taken it over yet.
function letters.send(id, packet)
  if not shared.exists(id) then
    return nil, 'none'
  end
  local slot = shared.slots[id % shared.capacity]
  if slot.state == shared.CLAIMED then
    return nil, 'busy'
  elseif not shared.is_open(slot) then
    return nil, 'closed'
  elseif slot.type == shared.type.CONSOLE then
    return nil, 'console'
  elseif slot.worker == bus.index then
    if output.is_kept_out(tonumber(slot.fd)) then
      return nil, 'early'
    end
    hand_over(slot, packet, 0)
    return true
  end
  if not parcel.send(slot.worker, SEND, id, 0, packet) then
    return nil, 'busy'
  end
  return true
end

bus.on(SEND, function(payload)
  local id, slot = parcel.open(payload)
  if id ~= nil then
    hand_over(slot, payload, parcel.HEAD)
  end
end)

return letters
