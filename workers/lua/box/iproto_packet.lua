-- box.iproto.encode_packet and decode_packet: whole packets as strings, for applications.
--
--   ce LL LL LL LL  header  [body]       the length counts header and body
--
-- Encoding translates names of keys and copies strings as they are; decoding checks everything and
-- answers objects of box/packet_object.

local ffi = require('ffi')
local decode = require('beespace.engine.decode')
local errors = require('beespace.box.error')
local packet_object = require('beespace.box.packet_object')

local error, pcall, select, tonumber, type = error, pcall, select, tonumber, type
local cast, floor = ffi.cast, math.floor
local ptr = ffi.typeof('uint8_t *')
local BAD, skip = decode.BAD, decode.skip
local ILLEGAL = 0xc1

local packets = {}

-- The length in front of a packet.
local function prefix(length)
  return '\206' .. string.char(
    floor(length / 16777216) % 256, floor(length / 65536) % 256, floor(length / 256) % 256,
    length % 256)
end

-- A whole packet of a header and, when there is one, a body; both strings or tables.
function packets.join(header, body)
  local bytes = packet_object.bytes(header)
  if body ~= nil then
    bytes = bytes .. packet_object.bytes(body)
  end
  return prefix(#bytes) .. bytes
end

local function is_part(value)
  return type(value) == 'string' or type(value) == 'table'
end

-- A whole packet: encode_packet(header[, body]).
function packets.encode(...)
  local count = select('#', ...)
  local header, body = ...
  if count < 1 or count > 2 then
    error('Usage: box.iproto.encode_packet(header[, body])', 0)
  elseif not is_part(header) then
    error('header must be a string or a table', 0)
  elseif body ~= nil and not is_part(body) then
    error('body must be a string or a table', 0)
  end
  return packets.join(header, body)
end

local function invalid(reason)
  error(errors.client('INVALID_MSGPACK', reason))
end

-- Bytes of the head of a container at p[i], 0 when there is none.
local function container(first)
  if first >= 0x80 and first < 0xa0 then
    return 1
  elseif first == 0xdc or first == 0xde then
    return 3
  elseif first == 0xdd or first == 0xdf then
    return 5
  end
  return 0
end

-- What is wrong with the value that begins at p[i] and is none.
local function reason_of(p, i, e)
  while i < e do
    if p[i] == ILLEGAL then
      return 'illegal code'
    end
    local head = container(p[i])
    local ok, at = true, i + head
    if head == 0 then
      ok, at = pcall(skip, p, i, e)
    end
    if not ok then
      break
    end
    i = at
  end
  return 'truncated input'
end

-- Where the value at p[i] ends.
local function pass(p, i, e)
  local ok, at = pcall(skip, p, i, e)
  if not ok then
    if at ~= BAD then
      error(at, 0)
    end
    invalid(reason_of(p, i, e))
  end
  return at
end

-- Bytes of the length field that begins with `first`.
local function width(first)
  if first < 0x80 then
    return 1
  elseif first >= 0xcc and first <= 0xcf then
    return 1 + 2 ^ (first - 0xcc)
  end
  error(errors.client('PROTOCOL', 'invalid fixheader'))
end

-- Where header and body of the packet at p[i] begin and where it ends; nil and the number of bytes
-- that are missing at least when it is not whole.
local function bounds(p, i, e)
  if i >= e then
    return nil, i - e + 1
  end
  local at = i + width(p[i])
  if at > e then
    return nil, at - e
  end
  local length = tonumber((decode.decode(p, i, at, 0)))
  if length == 0 then
    error(errors.client('PROTOCOL', 'invalid fixheader'))
  elseif length > e - at then
    return nil, length - (e - at)
  end
  local stop = at + length
  local body = pass(p, at, stop)
  if body < stop and pass(p, body, stop) ~= stop then
    invalid('junk after input')
  end
  return at, body, stop
end

-- Header, body (nil when there is none) and the position behind the packet at text[pos]; nil and
-- the number of missing bytes when it is not whole: decode_packet(text[, pos]).
function packets.decode(...)
  local count = select('#', ...)
  local text, pos = ...
  if count < 1 or count > 2 or type(text) ~= 'string'
     or count == 2 and type(pos) ~= 'number' then
    error('Usage: box.iproto.decode_packet(string[, pos])', 0)
  end
  pos = floor(pos or 1)
  if not (pos > 0) then
    error('position must be greater than 0', 0)
  end
  local at, body, stop = bounds(cast(ptr, text), pos - 1, #text)
  if at == nil then
    return nil, body
  end
  local found = body < stop and packet_object.make(text:sub(body + 1, stop)) or nil
  return packet_object.make(text:sub(at + 1, body)), found, stop + 1
end

return packets
