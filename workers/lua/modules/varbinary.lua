-- Module `varbinary`: byte strings that travel as MessagePack bin, not str.
--
-- Called by applications, and by engine/decode for every bin it meets (through its table ext).
-- #v is the length, tostring(v) the bytes; equal to a varbinary or string of the same bytes.

local ffi = require('ffi')
local decoder = require('beespace.engine.decode')
local encoder = require('beespace.engine.encode')

local ffi_copy, ffi_string, istype = ffi.copy, ffi.string, ffi.istype
local error, type = error, type

local ctype = ffi.typeof('struct { uint32_t size; uint8_t data[?]; }')

local function is(value)
  return istype(ctype, value)
end

local function bytes_of(value)
  if type(value) == 'string' then
    return value
  elseif is(value) then
    return ffi_string(value.data, value.size)
  end
  return nil
end

local function read(p, i, n)
  local value = ctype(n)
  value.size = n
  ffi_copy(value.data, p + i, n)
  return value
end

local function write(o, w, value)
  return encoder.bin(o, w, value.data, value.size)
end

--- A varbinary of the bytes of a string (or of another varbinary); empty without an argument.
local function new(value)
  local text = value == nil and '' or bytes_of(value)
  if text == nil then
    error('Usage: varbinary.new(str)', 2)
  end
  local made = ctype(#text)
  made.size = #text
  ffi_copy(made.data, text, #text)
  return made
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
