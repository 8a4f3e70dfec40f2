-- Recognise a text in a packet by its bytes, without making a Lua string of it.
--
-- Clients send the same function names and sources again and again. A cache made here maps the
-- bytes to whatever its owner keeps for that text (engine/call: how to reach the function, the
-- compiled chunk); the look-up is one index and one memcmp. It is direct-mapped: a new text takes
-- the place of the one it collides with.

local bit = require('bit')
local ffi = require('ffi')
local sys = require('beespace.engine.sys')

local band, rshift = bit.band, bit.rshift
local C = sys.C

local ENTRIES = 1024
local LAST = ENTRIES - 1

local texts = {}

local function index_of(p, at, length)
  return band(length + p[at] + p[at + rshift(length, 1)] * 37 + p[at + length - 1] * 263, LAST)
end

local NOTHING = {length = -1, bytes = ffi.new('uint8_t[?]', 1), value = false}

-- Keep nothing of what is kept.
function texts.clear(cache)
  for index = 0, LAST do
    cache[index] = NOTHING
  end
end

-- A new cache. Its entries are tables with the field `value`.
function texts.new()
  local cache = {}
  texts.clear(cache)
  return cache
end

-- What is kept for the `length` bytes at p+at, at least one; false when nothing is.
function texts.find(cache, p, at, length)
  local entry = cache[index_of(p, at, length)]
  if entry.length == length and C.memcmp(entry.bytes, p + at, length) == 0 then
    return entry.value
  end
  return false
end

-- Keep a value for these bytes.
function texts.keep(cache, p, at, length, value)
  local bytes = ffi.new('uint8_t[?]', length)
  ffi.copy(bytes, p + at, length)
  cache[index_of(p, at, length)] = {length = length, bytes = bytes, value = value}
end

return texts
