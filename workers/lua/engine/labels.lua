-- Names and attributes that sessions have given themselves: the text of a slot, or of a record of
-- the history.
--
--   text:  name | attributes, a MessagePack map of texts        TEXT_BYTES in all
--
-- box/session_labels writes those of this worker's sessions; whoever lists sessions reads them from
-- a copy. Only the worker that has the session writes: text_version is odd meanwhile, and moves.

local bit = require('bit')
local ffi = require('ffi')
local codec = require('beespace.engine.codec')
local decode = require('beespace.engine.decode')
local shared = require('beespace.engine.table')

local copy, to_string = ffi.copy, ffi.string
local next, setmetatable = next, setmetatable
local map_mt = decode.map_mt

local labels = {}

-- The name of the session whose copy that is, '' when it has none.
function labels.name(record)
  local length = record.name_len
  return length == 0 and '' or to_string(record.text, length)
end

-- Its attributes: a table of texts, which is a map also when it is empty.
function labels.attributes(record)
  local length = record.attrs_len
  if length == 0 then
    return setmetatable({}, map_mt)
  end
  return (codec.unpack(to_string(record.text + record.name_len, length)))
end

-- Give the session of a slot of this worker a name and attributes (a table, or nil); the bytes that
-- they take. More than TEXT_BYTES are not written.
function labels.write(slot, name, attributes)
  local packed = attributes ~= nil and next(attributes) ~= nil and codec.pack(attributes) or ''
  local text = name .. packed
  if #text > shared.TEXT_BYTES then
    return #text
  end
  slot.text_version = bit.bor(slot.text_version, 1)
  slot.name_len, slot.attrs_len = #name, #packed
  copy(slot.text, text, #text)
  slot.text_version = slot.text_version + 1
  return #text
end

return labels
