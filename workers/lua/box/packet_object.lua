-- A packet's header or body in Lua: from tables with names to bytes, and objects that read bytes.
--
-- Called by box/iproto (encode_packet, decode_packet) and engine/override, whose callbacks get such
-- objects. An object keeps the bytes and decodes them when it is first asked:
--
--   header.sync, header.SYNC, header[1], header:get('sync')   the value under this key, or nil
--   header:decode()                                           everything as a plain table
--
-- As a value that is encoded it is the map, or whatever it was made of.

local codec = require('beespace.engine.codec')
local decode = require('beespace.engine.decode')
local iproto_const = require('beespace.box.iproto_const')

local error, getmetatable, next, rawget, rawset = error, getmetatable, next, rawget, rawset
local setmetatable, type = setmetatable, type
local number_of = iproto_const.either_case(iproto_const.key)

local packet_object = {}

-- Where an object keeps its bytes and what they decode to.
local BYTES, VALUE = {}, {}

local methods, mt = {}, {}

local function value_of(object)
  local value = rawget(object, VALUE)
  if value == nil then
    value = codec.unpack(rawget(object, BYTES))
    rawset(object, VALUE, value)
  end
  return value
end

-- The value under a key, by number or name; nil when there is none.
function methods.get(object, key)
  local value = value_of(object)
  if type(value) ~= 'table' then
    return nil
  end
  local found = value[key]
  if found == nil and number_of[key] ~= nil then
    return value[number_of[key]]
  end
  return found
end

-- Everything, as a value of its own.
function methods.decode(object)
  return (codec.unpack(rawget(object, BYTES)))
end

function mt.__index(object, key)
  return methods[key] or methods.get(object, key)
end

function mt.__newindex()
  error('a packet object cannot be changed', 2)
end

mt.__serialize = value_of

-- An object that reads these bytes, one MessagePack value.
function packet_object.make(bytes)
  return setmetatable({[BYTES] = bytes}, mt)
end

-- Whether a value is such an object.
function packet_object.is(value)
  return type(value) == 'table' and getmetatable(value) == mt
end

-- The bytes of a header or body: those of a string as they are; keys of a table that are names of
-- the protocol become their numbers. Raises the texts of engine/encode.
function packet_object.bytes(value)
  if type(value) == 'string' then
    return value
  end
  local renamed, any = {}, false
  for key, each in next, value do
    local number = type(key) == 'string' and number_of[key]
    any = any or number ~= nil and number ~= false
    renamed[number or key] = each
  end
  return codec.pack(any and setmetatable(renamed, decode.map_mt) or value)
end

return packet_object
