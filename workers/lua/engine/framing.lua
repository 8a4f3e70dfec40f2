-- Where a packet ends: the length in front of it.
--
-- Called by engine/loop. Any unsigned integer is a length; what cannot be read on is told apart
-- from what has not come yet.

local bit = require('bit')
local ffi = require('ffi')
local decode = require('beespace.engine.decode')
local state = require('beespace.engine.state')

local tostring = tostring
local u64p = ffi.typeof('uint64_t *')
local ube32, be16 = decode.ube32, decode.be16
local p = state.input

-- A prefix that is no unsigned integer, and one that is not whole.
local BROKEN, SHORT = -2, -1

local framing = {BROKEN = BROKEN, SHORT = SHORT}

-- Length of the packet at p[i], of which `left` bytes are there, and of its prefix.
function framing.read_length(i, left)
  local first = p[i]
  if first < 0x80 then
    return first, 1
  elseif first == 0xcc then
    return left >= 2 and p[i + 1] or SHORT, 2
  elseif first == 0xcd then
    return left >= 3 and be16(p, i + 1) or SHORT, 3
  elseif first == 0xce then
    return left >= 5 and ube32(p, i + 1) or SHORT, 5
  elseif first == 0xcf then
    return left >= 9 and ube32(p, i + 1) * 4294967296 + ube32(p, i + 5) or SHORT, 9
  end
  return BROKEN, 1
end

-- The length that the input at p[i] claims, exact also where a Lua number is not.
function framing.claimed(i, prefix)
  local at = p + i
  if prefix == 9 then
    return (tostring(bit.bswap(ffi.cast(u64p, at + 1)[0])):gsub('ULL', ''))
  end
  return tostring(ube32(at, 1))
end

return framing
