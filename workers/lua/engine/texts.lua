-- Recognise a text in a packet by its bytes, without making a Lua string of it.
--
-- Clients send the same function names and sources again and again. A cache made here maps the
-- bytes to whatever its owner keeps for that text (engine/call: how to reach the function, the
-- compiled chunk); the look-up is one index and one memcmp. It is direct-mapped: a new text takes
-- the place of the one it collides with.
--
-- A cache is three functions, so that where it keeps its texts is a constant of compiled code.

local bit = require('bit')
local ffi = require('ffi')
local sys = require('beespace.engine.sys')

local band, bxor, lshift, rshift = bit.band, bit.bxor, bit.lshift, bit.rshift
local memcmp = sys.C.memcmp

-- Longest text that is kept, bytes.
local LONGEST = 255

ffi.cdef [[
typedef struct {
  int length;  /* 0: nothing is kept here */
  uint8_t bytes[256];
} bee_text_t;
]]

local ENTRIES = 1024
local LAST = ENTRIES - 1

local function index_of(p, at, length)
  local middle, last = p[at + rshift(length, 1)], p[at + length - 1]
  return band(bxor(length, p[at], middle, lshift(middle, 5), lshift(last, 3), lshift(last, 8)),
    LAST)
end

-- A new cache:
--   find(p, at, length)         what is kept for the `length` bytes at p+at, at least one; false
--                               when nothing is
--   keep(p, at, length, value)  keep a value, not false, for these bytes
--   clear()                     keep nothing of what is kept
local function new()
  local entries = sys.lasting('bee_text_t', ENTRIES)
  local values = {}
  for index = 0, LAST do
    values[index] = false
  end

  local function find(p, at, length)
    local index = index_of(p, at, length)
    local entry = entries + index
    if entry.length == length and memcmp(entry.bytes, p + at, length) == 0 then
      return values[index]
    end
    return false
  end

  local function keep(p, at, length, value)
    if length <= LONGEST then
      local index = index_of(p, at, length)
      local entry = entries + index
      -- Code that runs too long may be ended between any two of these lines.
      entry.length = 0
      values[index] = value
      ffi.copy(entry.bytes, p + at, length)
      entry.length = length
    end
  end

  local function clear()
    for index = 0, LAST do
      if values[index] then
        entries[index].length, values[index] = 0, false
      end
    end
  end

  return find, keep, clear
end

return {new = new}
