-- Checksums that no Python library has: CRC-32C, MurmurHash3, Guava's consistent hash.
--
-- modules/digest shows them to applications. Plain arithmetic on 32-bit numbers; results are
-- unsigned Lua numbers.

local bit = require('bit')
local ffi = require('ffi')

local band, bor, bxor, rol = bit.band, bit.bor, bit.bxor, bit.rol
local lshift, rshift, tobit = bit.lshift, bit.rshift, bit.tobit
local byte = string.byte
local setmetatable, type = setmetatable, type

local M = {}

local function unsigned(value)
  return value % 4294967296
end

local function check_text(value, usage)
  if type(value) ~= 'string' then
    error('Usage: ' .. usage, 0)
  end
end

-- CRC-32C (Castagnoli), as Tarantool computes it: no inversion at the end ------------------------

local POLYNOMIAL = 0x82f63b78
local CRC_BEGIN = 4294967295

local crc_table = ffi.new('uint32_t[256]')
for i = 0, 255 do
  local value = i
  for _ = 1, 8 do
    value = band(value, 1) == 1 and bxor(rshift(value, 1), POLYNOMIAL) or rshift(value, 1)
  end
  crc_table[i] = unsigned(value)
end

local function crc_update(crc, text)
  for i = 1, #text do
    crc = bxor(rshift(crc, 8), tobit(crc_table[band(bxor(crc, byte(text, i)), 255)]))
  end
  return unsigned(crc)
end

local crc_methods = {}
local crc_mt = {__index = crc_methods}

function crc_methods.update(self, text)
  check_text(text, 'crc32:update(string)')
  self.value = crc_update(self.value, text)
end

function crc_methods.result(self)
  return self.value
end

function crc_methods.clear(self)
  self.value = CRC_BEGIN
end

function crc_methods.copy(self)
  return setmetatable({value = self.value}, crc_mt)
end

M.crc32 = setmetatable({
  crc_begin = CRC_BEGIN,
  new = function()
    return setmetatable({value = CRC_BEGIN}, crc_mt)
  end,
}, {
  __call = function(_, text)
    check_text(text, 'digest.crc32(string)')
    return crc_update(CRC_BEGIN, text)
  end,
})

-- Go on with a checksum.
function M.crc32_update(crc, text)
  check_text(text, 'digest.crc32_update(number, string)')
  return crc_update(crc, text)
end

-- MurmurHash3, 32 bits, little-endian -----------------------------------------------------------

local MURMUR_SEED = 13
local C1, C2 = 0xcc9e2d51, 0x1b873593

-- a * b modulo 2^32; the halves keep every product exact.
local function multiply(a, b)
  a, b = unsigned(a), unsigned(b)
  local low = band(a, 0xffff)
  local high = rshift(a, 16)
  return tobit(low * band(b, 0xffff) + lshift(low * rshift(b, 16) % 65536
    + high * band(b, 0xffff) % 65536, 16))
end

local function mixed(k)
  return multiply(rol(multiply(k, C1), 15), C2)
end

local function murmur(seed, text)
  local h, size = tobit(seed), #text
  local whole = size - size % 4
  for i = 1, whole, 4 do
    local a, b, c, d = byte(text, i, i + 3)
    h = rol(bxor(h, mixed(bor(a, lshift(b, 8), lshift(c, 16), lshift(d, 24)))), 13)
    h = tobit(multiply(h, 5) + 0xe6546b64)
  end
  if whole < size then
    local a, b, c = byte(text, whole + 1, size)
    h = bxor(h, mixed(bor(a, lshift(b or 0, 8), lshift(c or 0, 16))))
  end
  h = bxor(h, size)
  h = multiply(bxor(h, rshift(h, 16)), 0x85ebca6b)
  h = multiply(bxor(h, rshift(h, 13)), 0xc2b2ae35)
  return unsigned(bxor(h, rshift(h, 16)))
end

local murmur_methods = {}
local murmur_mt = {__index = murmur_methods}

function murmur_methods.update(self, text)
  check_text(text, 'murmur:update(string)')
  self.parts[#self.parts + 1] = text
end

function murmur_methods.result(self)
  return murmur(self.seed, table.concat(self.parts))
end

function murmur_methods.clear(self)
  self.parts = {}
end

function murmur_methods.copy(self)
  return setmetatable({seed = self.seed, parts = {table.concat(self.parts)}}, murmur_mt)
end

M.murmur = setmetatable({
  default_seed = MURMUR_SEED,
  new = function(options)
    local seed = type(options) == 'table' and options.seed or MURMUR_SEED
    if options ~= nil and type(options) ~= 'table' or type(seed) ~= 'number' then
      error('Usage: digest.murmur.new([{seed = number}])', 0)
    end
    return setmetatable({seed = seed, parts = {}}, murmur_mt)
  end,
}, {
  __call = function(_, text)
    check_text(text, 'digest.murmur(string)')
    return murmur(MURMUR_SEED, text)
  end,
})

-- Guava's consistent hash -----------------------------------------------------------------------

local uint64_t, int64_t = ffi.typeof('uint64_t'), ffi.typeof('int64_t')
local MULTIPLIER = 2862933555777941757ULL

local function to_state(key)
  if type(key) == 'number' then
    return ffi.cast(uint64_t, ffi.cast(int64_t, key))
  elseif ffi.istype(uint64_t, key) or ffi.istype(int64_t, key) then
    return ffi.cast(uint64_t, key)
  end
  return nil
end

-- The bucket, 0 to buckets-1, of a 64-bit key; most keys keep theirs when buckets are added.
function M.guava(key, buckets)
  local state = to_state(key)
  if state == nil or type(buckets) ~= 'number' then
    error('Usage: digest.guava(state, buckets)', 0)
  end
  local candidate = 0
  while true do
    state = state * MULTIPLIER + 1ULL
    local unit = (tonumber(rshift(state, 33)) + 1) / 2147483648
    local following = math.floor((candidate + 1) / unit)
    if not (following >= 0 and following < buckets) then
      return candidate
    end
    candidate = following
  end
end

return M
