-- The events of a YAML document as bytes for workers/rendering.py.
--
-- Written by engine/yaml_walk and engine/yaml. The bytes are MessagePack values one behind the
-- other: a small integer is an event, or says what the value behind it is; a text alone is a scalar
-- that may be bare, a double one that is a number.

local put = require('beespace.engine.put')
local new_buffer = require('string.buffer').new

local char, floor = string.char, math.floor
local put_double = put.put_double

local stream = {
  SEQUENCE = '\0', FLOW_SEQUENCE = '\1', MAPPING = '\2', FLOW_MAPPING = '\3',
  SEQUENCE_END = '\4', MAPPING_END = '\5',
  NULL = '\6', TRUE = '\7', FALSE = '\8',
  -- An empty text that is no key.
  EMPTY = '\9',
  -- Anchors of what follows are counted from those used so far.
  SECTION = '\16',
  -- With a text behind them.
  QUOTED = '\17', LITERAL = '\18', BINARY = '\19',
  -- With a number behind them: the next collection has this anchor; is an alias, as a key or not.
  ANCHOR = '\20', ALIAS = '\21', ALIAS_KEY = '\22',
  new = new_buffer,
}

local short, medium = {}, {}
for size = 0, 255 do
  short[size] = size < 32 and char(0xa0 + size) or nil
  medium[size] = '\217' .. char(size)
end

local function two_bytes(value)
  return char(floor(value / 256) % 256, value % 256)
end

--- Write what stands in front of a text of so many bytes.
function stream.text_head(buffer, size)
  if size < 32 then
    buffer:put(short[size])
  elseif size < 256 then
    buffer:put(medium[size])
  elseif size < 65536 then
    buffer:put('\218', two_bytes(size))
  else
    buffer:put('\219', two_bytes(floor(size / 65536)), two_bytes(size))
  end
end
local text_head = stream.text_head

--- Write a text.
function stream.text(buffer, text)
  text_head(buffer, #text)
  buffer:put(text)
end

--- Write a number that is no NaN: its text would be kept by Lua until it is collected.
function stream.double(buffer, value)
  local o = buffer:reserve(9)
  o[0] = 0xcb
  put_double(o, 1, value)
  buffer:commit(9)
end

--- Write a number >= 0 behind an event.
function stream.numbered(buffer, event, number)
  buffer:put(event, '\206', two_bytes(floor(number / 65536)), two_bytes(number))
end

return stream
