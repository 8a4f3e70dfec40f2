-- MessagePack to Lua values: the reading half of the codec.
--
-- Called by the request path with a receive buffer (uint8_t *p), the index of the first byte (i)
-- and the index after the last one (e), both plain numbers; by engine/codec for whole strings.
-- Nothing is read at or behind e, and no container is allocated before its element count has been
-- compared with the bytes that are left, so a short packet cannot ask for a large table.
--
-- Malformed MessagePack raises the sentinel table BAD. Values whose structure is fine but which
-- mean nothing here (an unknown extension, a bad payload of a known one) raise a string.
--
-- Rules a reader cannot guess: nil becomes NULL everywhere; integers beyond +-99999999999999
-- become 64-bit cdata; a map entry whose key is NaN is dropped; of equal keys the last one wins
-- (keys that became cdata or tables are never equal). engine/ext fills the table `ext`.
--
-- Small containers are decoded without a loop: LuaJIT blacklists a loop which usually runs once or
-- twice, and with it every trace that reaches it.

local bit = require('bit')
local ffi = require('ffi')
local table_new = require('table.new')
local pass = require('beespace.engine.skip')

local arshift, band, bswap, lshift = bit.arshift, bit.band, bit.bswap, bit.lshift
local cast, ffi_string = ffi.cast, ffi.string
local error, setmetatable = error, setmetatable
local bad, be16, be32, ube32 = pass.bad, pass.be16, pass.be32, pass.ube32

local int64_t = ffi.typeof('int64_t')
local u64_ptr = ffi.typeof('const uint64_t *')

local MAX_DEPTH = 128
local MAX_PLAIN = 99999999999999
local NAN = 0 / 0

local NULL = cast('void *', 0)
-- What was an array or a map stays one until an application gives it a new key: then its keys
-- decide, as in Tarantool (table.insert and rawset do not count).
local function forget(t, k, v)
  if k == nil or k ~= k then
    error(k == nil and 'table index is nil' or 'table index is NaN', 2)
  end
  setmetatable(t, nil)
  t[k] = v
end
local seq_mt = {__serialize = 'seq', __newindex = forget}
local map_mt = {__serialize = 'map', __newindex = forget}
local bits = ffi.new('union { double d; uint64_t u; float f; uint32_t w; }')

-- Readers of extension payloads by signed type number, plus `bin` for byte strings:
-- function(p, i, n) -> value, the payload being p[i .. i+n).
local ext = {}

local function read_u64(p, i)
  local high = ube32(p, i)
  if high < 32768 then
    local v = high * 4294967296 + ube32(p, i + 4)
    if v <= MAX_PLAIN then
      return v
    end
  end
  return bswap(cast(u64_ptr, p + i)[0])
end

local function read_i64(p, i)
  local high = be32(p, i)
  if high >= -32768 and high < 32768 then
    local v = high * 4294967296 + ube32(p, i + 4)
    if v >= -MAX_PLAIN and v <= MAX_PLAIN then
      return v
    end
  end
  return cast(int64_t, bswap(cast(u64_ptr, p + i)[0]))
end

-- LuaJIT boxes its type tags in NaNs and does not clean a double read through the FFI: a NaN off
-- the wire must never become a Lua number as it is.
local function read_double(p, i)
  local high = be32(p, i)
  if band(high, 0x7ff00000) == 0x7ff00000
     and (band(high, 0xfffff) ~= 0 or be32(p, i + 4) ~= 0) then
    return NAN
  end
  bits.u = bswap(cast(u64_ptr, p + i)[0])
  return bits.d
end

local function read_float(p, i)
  local word = be32(p, i)
  if band(word, 0x7fffffff) > 0x7f800000 then
    return NAN
  end
  bits.w = word
  return bits.f
end

local function read_str(p, i, n, e)
  if n > e - i then
    bad()
  end
  return ffi_string(p + i, n), i + n
end

local function read_bin(p, i, n, e)
  if n > e - i then
    bad()
  end
  local reader = ext.bin
  if reader == nil then
    return ffi_string(p + i, n), i + n
  end
  return reader(p, i, n), i + n
end

-- i is the index of the type byte, n the length of the payload after it.
local function read_ext(p, i, n, e)
  if n + 1 > e - i then
    bad()
  end
  local kind = p[i]
  if kind > 127 then
    kind = kind - 256
  end
  local reader = ext[kind]
  if reader == nil then
    error('msgpack.decode: unsupported extension: ' .. kind, 0)
  end
  return reader(p, i + 1, n), i + 1 + n
end

local decode

local function read_array(p, i, n, e, depth)
  if n > e - i or depth >= MAX_DEPTH then
    bad()
  end
  depth = depth + 1
  local t = table_new(n, 0)
  if n > 4 then
    for k = 1, n do
      t[k], i = decode(p, i, e, depth)
    end
    return setmetatable(t, seq_mt), i
  end
  if n > 0 then
    t[1], i = decode(p, i, e, depth)
  end
  if n > 1 then
    t[2], i = decode(p, i, e, depth)
  end
  if n > 2 then
    t[3], i = decode(p, i, e, depth)
  end
  if n > 3 then
    t[4], i = decode(p, i, e, depth)
  end
  return setmetatable(t, seq_mt), i
end

local function read_pair(t, p, i, e, depth)
  local k, v
  k, i = decode(p, i, e, depth)
  v, i = decode(p, i, e, depth)
  if k == k then
    t[k] = v
  end
  return i
end

local function read_map(p, i, n, e, depth)
  if 2 * n > e - i or depth >= MAX_DEPTH then
    bad()
  end
  depth = depth + 1
  local t = table_new(0, n)
  if n > 3 then
    for _ = 1, n do
      i = read_pair(t, p, i, e, depth)
    end
    return setmetatable(t, map_mt), i
  end
  if n > 0 then
    i = read_pair(t, p, i, e, depth)
  end
  if n > 1 then
    i = read_pair(t, p, i, e, depth)
  end
  if n > 2 then
    i = read_pair(t, p, i, e, depth)
  end
  return setmetatable(t, map_mt), i
end

local function need(n, i, e)
  if n > e - i then
    bad()
  end
end

-- First bytes 0xc0 .. 0xcb.
local function decode_c0(c, p, i, e)
  if c == 0xc0 then
    return NULL, i + 1
  elseif c == 0xc2 then
    return false, i + 1
  elseif c == 0xc3 then
    return true, i + 1
  elseif c == 0xcb then
    need(9, i, e)
    return read_double(p, i + 1), i + 9
  elseif c == 0xca then
    need(5, i, e)
    return read_float(p, i + 1), i + 5
  elseif c == 0xc4 then
    need(2, i, e)
    return read_bin(p, i + 2, p[i + 1], e)
  elseif c == 0xc5 then
    need(3, i, e)
    return read_bin(p, i + 3, be16(p, i + 1), e)
  elseif c == 0xc6 then
    need(5, i, e)
    return read_bin(p, i + 5, ube32(p, i + 1), e)
  elseif c == 0xc7 then
    need(2, i, e)
    return read_ext(p, i + 2, p[i + 1], e)
  elseif c == 0xc8 then
    need(3, i, e)
    return read_ext(p, i + 3, be16(p, i + 1), e)
  elseif c == 0xc9 then
    need(5, i, e)
    return read_ext(p, i + 5, ube32(p, i + 1), e)
  end
  bad()
end

-- First bytes 0xcc .. 0xd3.
local function decode_int(c, p, i, e)
  if c == 0xcc then
    need(2, i, e)
    return p[i + 1], i + 2
  elseif c == 0xcd then
    need(3, i, e)
    return be16(p, i + 1), i + 3
  elseif c == 0xce then
    need(5, i, e)
    return ube32(p, i + 1), i + 5
  elseif c == 0xcf then
    need(9, i, e)
    return read_u64(p, i + 1), i + 9
  elseif c == 0xd0 then
    need(2, i, e)
    return arshift(lshift(p[i + 1], 24), 24), i + 2
  elseif c == 0xd1 then
    need(3, i, e)
    return arshift(lshift(be16(p, i + 1), 16), 16), i + 3
  elseif c == 0xd2 then
    need(5, i, e)
    return be32(p, i + 1), i + 5
  end
  need(9, i, e)
  return read_i64(p, i + 1), i + 9
end

--- The value at p[i], depth containers deep already (0 at the top), and the index behind it.
-- Raises BAD, or a string for extensions (see the header).
function decode(p, i, e, depth)
  if i >= e then
    bad()
  end
  local c = p[i]
  if c < 0x80 then
    return c, i + 1
  elseif c >= 0xe0 then
    return c - 256, i + 1
  elseif c >= 0xa0 and c < 0xc0 then
    return read_str(p, i + 1, c - 0xa0, e)
  elseif c < 0x90 then
    return read_map(p, i + 1, c - 0x80, e, depth)
  elseif c < 0xa0 then
    return read_array(p, i + 1, c - 0x90, e, depth)
  elseif c < 0xcc then
    return decode_c0(c, p, i, e)
  elseif c < 0xd4 then
    return decode_int(c, p, i, e)
  elseif c < 0xd9 then
    return read_ext(p, i + 1, lshift(1, c - 0xd4), e)
  elseif c == 0xd9 then
    need(2, i, e)
    return read_str(p, i + 2, p[i + 1], e)
  elseif c == 0xda then
    need(3, i, e)
    return read_str(p, i + 3, be16(p, i + 1), e)
  elseif c == 0xdb then
    need(5, i, e)
    return read_str(p, i + 5, ube32(p, i + 1), e)
  elseif c == 0xdc then
    need(3, i, e)
    return read_array(p, i + 3, be16(p, i + 1), e, depth)
  elseif c == 0xdd then
    need(5, i, e)
    return read_array(p, i + 5, ube32(p, i + 1), e, depth)
  elseif c == 0xde then
    need(3, i, e)
    return read_map(p, i + 3, be16(p, i + 1), e, depth)
  end
  need(5, i, e)
  return read_map(p, i + 5, ube32(p, i + 1), e, depth)
end

return {
  BAD = pass.BAD,
  NULL = NULL,
  be16 = be16,
  decode = decode,
  ext = ext,
  map_mt = map_mt,
  seq_mt = seq_mt,
  skip = pass.skip,
  ube32 = ube32,
}
