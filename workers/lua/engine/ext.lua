-- Values that MessagePack carries as extensions: cdata which keeps the payload as it came.
--
-- Called by modules/uuid, decimal and datetime, each of which defines its type here once, at load
-- time; engine/codec loads them all. A value is its payload: what was decoded is encoded back byte
-- for byte, whatever form the sender chose, and its fields are worked out when somebody asks.

local ffi = require('ffi')
local decoder = require('beespace.engine.decode')
local encoder = require('beespace.engine.encode')

local ffi_copy = ffi.copy
local ext_header = encoder.ext_header
local error = error

local INVALID = 'msgpack.decode: invalid MsgPack'

--- Define extension `kind` (its number) with payloads of at most `capacity` bytes (< 256).
-- check(p, i, n) -> whether p[i .. i+n) is a valid payload. Returns the ctype, a struct of `size`
-- and `data`, and make(p, i, n), which raises a string for a payload that is not valid.
local function define(kind, capacity, check, metatable)
  local ctype = ffi.metatype(
    ffi.typeof('struct { uint8_t size; uint8_t data[' .. capacity .. ']; }'), metatable)

  local function make(p, i, n)
    if n > capacity or not check(p, i, n) then
      error(INVALID, 0)
    end
    local value = ctype()
    value.size = n
    ffi_copy(value.data, p + i, n)
    return value
  end

  local function write(o, w, value)
    local n = value.size
    w = ext_header(o, w, kind, n)
    ffi_copy(o + w, value.data, n)
    return w + n
  end

  decoder.ext[kind] = make
  encoder.register(ctype, write)
  return ctype, make
end

return {define = define}
