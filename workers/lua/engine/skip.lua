-- Pass over MessagePack without making values, and the reads that all of decoding shares.
--
-- Called by the request path for packets and keys it does not want, and by engine/decode. The same
-- rules hold: nothing is read at or behind e, malformed input raises the sentinel table BAD.

local bit = require('bit')
local ffi = require('ffi')

local bor, bswap, lshift = bit.bor, bit.bswap, bit.lshift
local cast = ffi.cast
local error = error

local u32_ptr = ffi.typeof('const uint32_t *')

local BAD = {'Invalid MsgPack'}

local function bad()
  error(BAD, 0)
end

--- Unsigned 16 bits, big-endian; the caller has checked the bounds.
local function be16(p, i)
  return bor(lshift(p[i], 8), p[i + 1])
end

--- Signed 32 bits, big-endian; the caller has checked the bounds.
local function be32(p, i)
  return bswap(cast(u32_ptr, p + i)[0])
end

--- Unsigned 32 bits, big-endian; the caller has checked the bounds.
local function ube32(p, i)
  local v = bswap(cast(u32_ptr, p + i)[0])
  if v < 0 then
    return v + 4294967296
  end
  return v
end

-- What skip does after a first byte: bytes of length field (0, 1, 2, 4), what the length counts
-- (bytes, values, pairs), and bytes that follow anyway.
local skip_field = ffi.new('uint8_t[256]')
local skip_values = ffi.new('uint8_t[256]')
local skip_bytes = ffi.new('uint8_t[256]')
local SKIP_BAD = 255

local function fill_skip_tables()
  for c = 0, 15 do
    skip_values[0x80 + c] = 2 * c
    skip_values[0x90 + c] = c
  end
  for c = 0, 31 do
    skip_bytes[0xa0 + c] = c
  end
  skip_field[0xc1] = SKIP_BAD
  local after = {
    [0xca] = 4, [0xcb] = 8, [0xcc] = 1, [0xcd] = 2, [0xce] = 4, [0xcf] = 8, [0xd0] = 1,
    [0xd1] = 2, [0xd2] = 4, [0xd3] = 8, [0xd4] = 2, [0xd5] = 3, [0xd6] = 5, [0xd7] = 9,
    [0xd8] = 17, [0xc7] = 1, [0xc8] = 1, [0xc9] = 1,
  }
  for c, n in pairs(after) do
    skip_bytes[c] = n
  end
  local field = {
    [0xc4] = 1, [0xc5] = 2, [0xc6] = 4, [0xc7] = 1, [0xc8] = 2, [0xc9] = 4, [0xd9] = 1,
    [0xda] = 2, [0xdb] = 4, [0xdc] = 2, [0xdd] = 4, [0xde] = 2, [0xdf] = 4,
  }
  for c, n in pairs(field) do
    skip_field[c] = n
  end
end

fill_skip_tables()

-- One value whose first byte carries a length field: the index behind its own bytes, and the
-- number of values that follow as its content.
local function skip_counted(c, p, i, e)
  local field = skip_field[c]
  if field == SKIP_BAD or field > e - i then
    bad()
  end
  local n
  if field == 1 then
    n = p[i]
  elseif field == 2 then
    n = be16(p, i)
  else
    n = ube32(p, i)
  end
  i = i + field
  if c < 0xdc then
    return i + n + skip_bytes[c], 0
  elseif c < 0xde then
    return i, n
  end
  return i, 2 * n
end

--- The index behind the value at p[i], without making it. Accepts what decode accepts, any nesting
-- and any extension; raises BAD.
local function skip(p, i, e)
  if i >= e then
    bad()
  end
  local first = p[i]
  if skip_field[first] == 0 and skip_values[first] == 0 then
    i = i + 1 + skip_bytes[first]
    if i > e then
      bad()
    end
    return i
  end
  local left = 1
  repeat
    if left > e - i then
      bad()
    end
    local c = p[i]
    local more = skip_values[c]
    i = i + 1
    if skip_field[c] ~= 0 then
      i, more = skip_counted(c, p, i, e)
    else
      i = i + skip_bytes[c]
    end
    left = left - 1 + more
  until left == 0
  if i > e then
    bad()
  end
  return i
end

return {BAD = BAD, bad = bad, be16 = be16, be32 = be32, skip = skip, ube32 = ube32}
