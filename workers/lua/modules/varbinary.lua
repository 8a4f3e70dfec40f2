-- Module `varbinary`: byte strings that travel as MessagePack bin, not str.
--
-- Called by applications, and by engine/decode for every bin it meets (through its table ext).
-- #v is the length, tostring(v) the bytes; equal to a varbinary or string of the same bytes.

local ffi = require('ffi')
local decoder = require('beespace.engine.decode')
local encoder = require('beespace.engine.encode')

local cast, ffi_copy, ffi_string, istype = ffi.cast, ffi.copy, ffi.string, ffi.istype
local error, type = error, type

local byte_ptr, size_ptr = ffi.typeof('uint8_t *'), ffi.typeof('uint32_t *')
-- A byte without a field: an application can neither read nor write one, in bounds or out of them.
local cell = ffi.typeof('struct { uint8_t : 8; }')
local ctype = ffi.typeof('struct { const uint32_t size; const $ bytes[?]; }', cell)

-- The bytes of a varbinary, which must be kept while they are used.
local function payload(value)
  return cast(byte_ptr, value) + 4
end

-- A varbinary of n bytes at `source`, a pointer or a string.
local function make(source, n)
  local value = ctype(n)
  cast(size_ptr, value)[0] = n
  ffi_copy(payload(value), source, n)
  return value
end

local function is(value)
  return istype(ctype, value)
end

local function bytes_of(value)
  if type(value) == 'string' then
    return value
  elseif is(value) then
    return ffi_string(payload(value), value.size)
  end
  return nil
end

local function read(p, i, n)
  return make(p + i, n)
end

local function write(o, w, value)
  return encoder.bin(o, w, payload(value), value.size)
end

--- A varbinary of the bytes of a string (or of another varbinary); empty without an argument.
local function new(value)
  local text = value == nil and '' or bytes_of(value)
  if text == nil then
    error('Usage: varbinary.new(str)', 0)
  end
  return make(text, #text)
end

ffi.metatype(ctype, {
  __eq = function(a, b)
    local left, right = bytes_of(a), bytes_of(b)
    return left ~= nil and left == right
  end,
  __len = function(value)
    return value.size
  end,
  __tostring = bytes_of,
})
decoder.ext.bin = read
encoder.register(ctype, write)

return {is = is, new = new}
