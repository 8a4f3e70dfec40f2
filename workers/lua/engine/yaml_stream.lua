-- The events of a YAML document as bytes for workers/rendering.py.
--
-- Written by engine/yaml_walk and engine/yaml. The bytes are MessagePack values one behind the
-- other: a small integer is an event, or says what the value behind it is; a text alone is a scalar
-- that may be bare.

local new_buffer = require('string.buffer').new

local char, floor = string.char, math.floor

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

--- Write a text.
function stream.text(buffer, text)
  local size = #text
  if size < 32 then
    buffer:put(short[size], text)
  elseif size < 256 then
    buffer:put(medium[size], text)
  elseif size < 65536 then
    buffer:put('\218', two_bytes(size), text)
  else
    buffer:put('\219', two_bytes(floor(size / 65536)), two_bytes(size), text)
  end
end

--- Write a number >= 0 behind an event.
function stream.numbered(buffer, event, number)
  buffer:put(event, '\206', two_bytes(floor(number / 65536)), two_bytes(number))
end

return stream
