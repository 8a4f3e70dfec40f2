-- Module `uuid`: 16 random bytes with Tarantool's names; travels as MessagePack extension 2.
--
-- Called by applications (uuid(), uuid.str(), ...) and by engine/codec, which decodes and encodes
-- the values. Byte orders: 'h' host and 'l' little-endian swap the first three fields, 'n' network
-- and 'b' big-endian do not; the default is 'h', as in Tarantool.

local bit = require('bit')
local ffi = require('ffi')
local ext = require('beespace.engine.ext')
local sys = require('beespace.engine.sys')

local SIZE = 16
local TEXT = ('%02x'):rep(4) .. ('-' .. ('%02x'):rep(2)):rep(3) .. '-' .. ('%02x'):rep(6)
local PATTERN = '^' .. ('(%x%x)'):rep(4) .. ('%-' .. ('(%x%x)'):rep(2)):rep(3)
  .. '%-' .. ('(%x%x)'):rep(6) .. '$'
local SWAPPED = {3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15}
local ORDERS = {l = true, h = true, b = false, n = false}

local methods = {}
local metatable = {__index = methods}

local function is_size(_, _, n)
  return n == SIZE
end

local payload = ext.payload

-- Tarantool's name of the struct, which is in texts of errors.
local ctype = ext.define(2, SIZE, is_size, metatable, 'tt_uuid')

local function is_uuid(value)
  return ffi.istype(ctype, value)
end

-- Whether this byte order swaps.
local function swaps(order)
  if order == nil then
    return true
  end
  local found = type(order) == 'string' and ORDERS[order:sub(1, 1)]
  if type(found) ~= 'boolean' then
    error('invalid byteorder, valid is l, b, h, n', 0)
  end
  return found
end

-- A uuid of zeros, and its bytes.
local function empty()
  local value = ctype()
  local data = payload(value)
  data[-1] = SIZE
  return value, data
end

local function new()
  local value, data = empty()
  if sys.C.getrandom(data, SIZE, 0) ~= SIZE then
    error('uuid.new: the system gave no random bytes', 0)
  end
  data[6] = bit.bor(bit.band(data[6], 0x0f), 0x40)
  data[8] = bit.bor(bit.band(data[8], 0x3f), 0x80)
  return value
end

--- A uuid from its 36 characters; nil when the text is none.
local function fromstr(text)
  if type(text) ~= 'string' then
    error('fromstr(str)', 0)
  end
  local pairs_of_digits = {text:match(PATTERN)}
  if pairs_of_digits[1] == nil then
    return nil
  end
  local value, data = empty()
  for k = 1, SIZE do
    data[k - 1] = tonumber(pairs_of_digits[k], 16)
  end
  return value
end

--- A uuid from 16 bytes.
local function frombin(bytes, order)
  if type(bytes) ~= 'string' or #bytes ~= SIZE then
    error('frombin(bin, [byteorder])', 0)
  end
  local swap = swaps(order)
  local value, data = empty()
  for k = 1, SIZE do
    data[swap and SWAPPED[k] or k - 1] = bytes:byte(k)
  end
  return value
end

function methods.str(self)
  if not is_uuid(self) then
    error('Usage: uuid:str()', 0)
  end
  return TEXT:format(ffi.string(payload(self), SIZE):byte(1, SIZE))
end

function methods.bin(self, order)
  if not is_uuid(self) then
    error('Usage: uuid:bin([byteorder])', 0)
  end
  local bytes = ffi.new('uint8_t[16]')
  local swap = swaps(order)
  local data = payload(self)
  for k = 1, SIZE do
    bytes[k - 1] = data[swap and SWAPPED[k] or k - 1]
  end
  return ffi.string(bytes, SIZE)
end

function methods.isnil(self)
  if not is_uuid(self) then
    error('Usage: uuid:isnil()', 0)
  end
  return ffi.string(payload(self), SIZE) == ('\0'):rep(SIZE)
end

metatable.__tostring = methods.str
-- There is no order of them, as in Tarantool 2.6.
metatable.__eq = function(a, b)
  return is_uuid(a) and is_uuid(b)
    and ffi.string(payload(a), SIZE) == ffi.string(payload(b), SIZE)
end

return setmetatable({
  NULL = (empty()),
  bin = function(order)
    return new():bin(order)
  end,
  frombin = frombin,
  fromstr = fromstr,
  is_uuid = is_uuid,
  new = new,
  str = function()
    return new():str()
  end,
}, {__call = new})
