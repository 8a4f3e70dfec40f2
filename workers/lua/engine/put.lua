-- MessagePack writers for everything but tables and cdata: numbers, strings, headers.
--
-- Called by engine/encode and by whoever writes MessagePack piece by piece (engine/reply, ext).
-- All of them write at o[w] (uint8_t *o, w a plain number) and return the index behind. Those with
-- a name of their own compare the room with limits.cap, the writable bytes at o, and raise the
-- string FULL; the put_ ones leave that to their caller.

local bit = require('bit')
local ffi = require('ffi')

local band, bswap, rshift = bit.band, bit.bswap, bit.rshift
local cast, ffi_copy = ffi.cast, ffi.copy
local error, floor = error, math.floor

local int64_t, uint64_t = ffi.typeof('int64_t'), ffi.typeof('uint64_t')
local u32_ptr, u64_ptr = ffi.typeof('uint32_t *'), ffi.typeof('uint64_t *')

local FULL = 'response too large'

local bits = ffi.new('union { double d; uint64_t u; }')

--- cap: writable bytes at o, set by whoever owns the buffer. shared: those of the request path's
-- buffer, which is the one at hand whenever an application's function runs.
local limits = ffi.new('struct { double cap; double shared; }')

local function full()
  error(FULL, 0)
end

local function put16(o, w, v)
  o[w] = rshift(v, 8)
  o[w + 1] = band(v, 255)
end

local function put32(o, w, v)
  cast(u32_ptr, o + w)[0] = bswap(v)
end

-- Integral v >= 0, room checked.
local function put_uint(o, w, v)
  if v < 128 then
    o[w] = v
    return w + 1
  elseif v < 256 then
    o[w] = 0xcc
    o[w + 1] = v
    return w + 2
  elseif v < 65536 then
    o[w] = 0xcd
    put16(o, w + 1, v)
    return w + 3
  elseif v < 4294967296 then
    o[w] = 0xce
    put32(o, w + 1, v)
    return w + 5
  end
  o[w] = 0xcf
  local high = floor(v / 4294967296)
  put32(o, w + 1, high)
  put32(o, w + 5, v - high * 4294967296)
  return w + 9
end

-- Integral v < 0, room checked.
local function put_negative(o, w, v)
  if v >= -32 then
    o[w] = 256 + v
    return w + 1
  elseif v >= -128 then
    o[w] = 0xd0
    o[w + 1] = 256 + v
    return w + 2
  elseif v >= -32768 then
    o[w] = 0xd1
    put16(o, w + 1, 65536 + v)
    return w + 3
  elseif v >= -2147483648 then
    o[w] = 0xd2
    put32(o, w + 1, v)
    return w + 5
  end
  o[w] = 0xd3
  cast(u64_ptr, o + w + 1)[0] = bswap(cast(uint64_t, cast(int64_t, v)))
  return w + 9
end

-- The 8 bytes of a double, without the first byte.
local function put_double(o, w, v)
  if v ~= v then
    cast(u64_ptr, o + w)[0] = 0xf8ffULL
    return
  end
  bits.d = v
  cast(u64_ptr, o + w)[0] = bswap(bits.u)
end

local function put_number(o, w, v)
  if v >= 0 then
    if v < 18446744073709551616 and floor(v) == v then
      return put_uint(o, w, v)
    end
  elseif v >= -9223372036854775808 and floor(v) == v then
    return put_negative(o, w, v)
  end
  o[w] = 0xcb
  put_double(o, w + 1, v)
  return w + 9
end

--- An integral number 0 <= v < 2^64 in its smallest form.
local function uint(o, w, v)
  if w + 9 > limits.cap then
    full()
  end
  return put_uint(o, w, v)
end

--- A string, as str.
local function str(o, w, v)
  local n = #v
  if w + n + 5 > limits.cap then
    full()
  end
  if n < 32 then
    o[w] = 0xa0 + n
    w = w + 1
  elseif n < 256 then
    o[w] = 0xd9
    o[w + 1] = n
    w = w + 2
  elseif n < 65536 then
    o[w] = 0xda
    put16(o, w + 1, n)
    w = w + 3
  else
    o[w] = 0xdb
    put32(o, w + 1, n)
    w = w + 5
  end
  ffi_copy(o + w, v, n)
  return w + n
end

--- n bytes at `data` (a uint8_t *), as bin.
local function bin(o, w, data, n)
  if w + n + 5 > limits.cap then
    full()
  end
  if n < 256 then
    o[w] = 0xc4
    o[w + 1] = n
    w = w + 2
  elseif n < 65536 then
    o[w] = 0xc5
    put16(o, w + 1, n)
    w = w + 3
  else
    o[w] = 0xc6
    put32(o, w + 1, n)
    w = w + 5
  end
  ffi_copy(o + w, data, n)
  return w + n
end

--- Header of an extension of n payload bytes; checks the room for the payload too.
local function ext_header(o, w, kind, n)
  if w + n + 6 > limits.cap then
    full()
  end
  if n == 1 or n == 2 or n == 4 or n == 8 or n == 16 then
    o[w] = n == 1 and 0xd4 or n == 2 and 0xd5 or n == 4 and 0xd6 or n == 8 and 0xd7 or 0xd8
    w = w + 1
  elseif n < 256 then
    o[w] = 0xc7
    o[w + 1] = n
    w = w + 2
  elseif n < 65536 then
    o[w] = 0xc8
    put16(o, w + 1, n)
    w = w + 3
  else
    o[w] = 0xc9
    put32(o, w + 1, n)
    w = w + 5
  end
  o[w] = band(kind, 255)
  return w + 1
end

local function array_header(o, w, n)
  if w + 5 > limits.cap then
    full()
  end
  if n < 16 then
    o[w] = 0x90 + n
    return w + 1
  elseif n < 65536 then
    o[w] = 0xdc
    put16(o, w + 1, n)
    return w + 3
  end
  o[w] = 0xdd
  put32(o, w + 1, n)
  return w + 5
end

local function map_header(o, w, n)
  if w + 5 > limits.cap then
    full()
  end
  if n < 16 then
    o[w] = 0x80 + n
    return w + 1
  elseif n < 65536 then
    o[w] = 0xde
    put16(o, w + 1, n)
    return w + 3
  end
  o[w] = 0xdf
  put32(o, w + 1, n)
  return w + 5
end

return {
  FULL = FULL,
  array_header = array_header,
  bin = bin,
  ext_header = ext_header,
  full = full,
  limits = limits,
  map_header = map_header,
  put32 = put32,
  put_double = put_double,
  put_negative = put_negative,
  put_number = put_number,
  put_uint = put_uint,
  str = str,
  uint = uint,
}
