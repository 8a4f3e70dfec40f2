-- Long messages of the bus, put together from their pieces.
--
-- engine/bus calls hear() for every datagram and add() for every piece. One message a sender is in
-- the making, in memory from malloc. What a sender began and another process of its row goes on
-- with, or what began before this process, belongs to no message and is dropped.

local ffi = require('ffi')
local sys = require('beespace.engine.sys')

local C = sys.C
local copy = ffi.copy

ffi.cdef [[
typedef struct {
  uint8_t *bytes;    /* NULL while no message is in the making */
  uint32_t have, total;
  uint32_t epoch;    /* which process of the sender's row speaks */
} bee_assembly_t;
]]

local MAX_WORKERS = 256

local senders = ffi.new('bee_assembly_t[?]', MAX_WORKERS)

local assembly = {}

-- Forget what the sender's message has so far.
function assembly.drop(from)
  local made = senders[from]
  C.free(made.bytes)
  made.bytes = nil
end

-- A datagram of this process of the row `from` has come.
function assembly.hear(from, epoch)
  if senders[from].epoch ~= epoch then
    assembly.drop(from)
    senders[from].epoch = epoch
  end
end

-- Add a piece; the bytes of the whole message when this was the last one, until drop().
function assembly.add(from, bytes, length, total, first)
  local made = senders[from]
  if first ~= 0 then
    assembly.drop(from)
    made.bytes = C.malloc(total)
    made.have, made.total = 0, total
  end
  if made.bytes == nil then
    return nil
  end
  local have = made.have
  if length > made.total - have then
    assembly.drop(from)
    return nil
  end
  copy(made.bytes + have, bytes, length)
  made.have = have + length
  return made.have == total and made.bytes or nil
end

return assembly
