-- Values that MessagePack carries as extensions: cdata which keeps the payload as it came.
--
-- Called by modules/uuid, decimal and datetime, each of which defines its type here once, at load
-- time; engine/codec loads them all. A value is its payload: what was decoded is encoded back byte
-- for byte, whatever form the sender chose, and its fields are worked out when somebody asks.

local ffi = require('ffi')
local decoder = require('beespace.engine.decode')
local encoder = require('beespace.engine.encode')

local cast, ffi_copy = ffi.cast, ffi.copy
local ext_header = encoder.ext_header
local error = error

local INVALID = 'msgpack.decode: invalid MsgPack'

local byte_ptr = ffi.typeof('uint8_t *')
-- A byte without a field: an application can neither read nor write one, in bounds or out of them.
local cell = ffi.typeof('struct { uint8_t : 8; }')

--- The payload of a value, as an uint8_t *. The value must be kept while it is used.
local function payload(value)
  return cast(byte_ptr, value) + 1
end

--- Define extension `kind` (its number) with payloads of at most `capacity` bytes (< 256).
-- check(p, i, n) -> whether p[i .. i+n) is a valid payload; `name` is what errors call the struct,
-- which may have none. Returns the ctype, whose only readable field is `size`, and make(p, i, n),
-- which raises a string for a payload that is not valid.
local function define(kind, capacity, check, metatable, name)
  local layout = 'struct %s { const uint8_t size; const $ bytes[' .. capacity .. ']; }'
  local ctype
  if name == nil then
    ctype = ffi.typeof(layout:format(''), cell)
  else
    ffi.cdef(layout:format(name), cell)
    ctype = ffi.typeof('struct ' .. name)
  end
  ffi.metatype(ctype, metatable)

  local function make(p, i, n)
    if n > capacity or not check(p, i, n) then
      error(INVALID, 0)
    end
    local value = ctype()
    local bytes = cast(byte_ptr, value)
    bytes[0] = n
    ffi_copy(bytes + 1, p + i, n)
    return value
  end

  local function write(o, w, value)
    local n = value.size
    if n > capacity then
      error(INVALID, 0)
    end
    w = ext_header(o, w, kind, n)
    ffi_copy(o + w, payload(value), n)
    return w + n
  end

  decoder.ext[kind] = make
  encoder.register(ctype, write)
  return ctype, make
end

return {define = define, payload = payload}
