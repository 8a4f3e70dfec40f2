-- Scalars of YAML answers: numbers and cdata as text, the style that is asked of the emitter.
--
-- Called by engine/yaml_walk for each value that is no table. A text of here is printed as it is;
-- strings have a style: bare, quoted, or literal lines, where the emitter may still decide for more
-- quotes. Strings that are no UTF-8 are found by workers/rendering.py.

local ffi = require('ffi')
local datetime = require('datetime')
local decimal = require('decimal')
local uuid = require('uuid')
local varbinary = require('varbinary')

local find, format, gsub, sub = string.find, string.format, string.gsub, string.sub
local floor, tonumber, tostring, type = math.floor, tonumber, tostring, type
local rawequal, typeof = rawequal, ffi.typeof

local NULL_UUID = uuid.NULL

local bits = ffi.new('union { double d; int64_t i; }')

local PLAIN, QUOTED, LITERAL = 0, 1, 2

local scalars = {
  PLAIN = PLAIN, QUOTED = QUOTED, LITERAL = LITERAL,
  -- Significant digits of numbers, as Tarantool's console prints them.
  PRECISION = 14,
}

-- Words that would be read as something else.
local RESERVED = {['null'] = true, ['~'] = true, ['true'] = true, ['false'] = true, yes = true,
  no = true}

--- The style of a string. in_flow: inside of `[...]` or `{...}`; lines: whether one line feed is
-- enough for literal lines, else it takes an empty line.
function scalars.style(text, in_flow, lines)
  if tonumber(text) ~= nil or RESERVED[text] or in_flow then
    return QUOTED
  end
  local found = find(text, lines and '\n' or '\n\n', 1, true)
  if found == nil then
    return PLAIN
  end
  local zero = find(text, '\0', 1, true)
  return (lines or zero == nil or zero > found) and LITERAL or PLAIN
end

-- A number with so many significant digits.
local function rounded(value, precision)
  if value ~= value then
    bits.d = value
    return bits.i < 0 and '-nan' or 'nan'
  end
  return format('%.' .. precision .. 'g', value)
end

--- The same, but whole numbers of up to 64 bits are exact. Not by tostring(): numbers may have a
-- metatable.
function scalars.number(value, precision)
  if floor(value) == value then
    if value == 0 then
      return '0'
    elseif value < 18446744073709551616 and value >= -9223372036854775808 then
      return format('%.0f', value)
    end
  end
  return rounded(value, precision)
end
local number = scalars.number

-- cdata -------------------------------------------------------------------------------------------

local function narrow(value, precision)
  return number(tonumber(value), precision)
end

local function floating(value, precision)
  return rounded(tonumber(value), precision)
end

local function wide(value)
  return (gsub(tostring(value), '[UL]+$', ''))
end

local function boolean(value)
  return tonumber(value) ~= 0 and 'true' or 'false'
end

-- Only NULL has a text.
local function pointer(value)
  return value == nil and 'null' or nil
end

-- By ctype id: value, precision -> text, or nil, bytes.
local writers = {}

local function add(writer, ...)
  for place = 1, select('#', ...) do
    writers[tonumber(typeof((select(place, ...))))] = writer
  end
end

add(narrow, 'int8_t', 'int16_t', 'int32_t', 'uint8_t', 'uint16_t', 'uint32_t', 'char')
add(floating, 'float', 'double')
add(wide, 'int64_t', 'uint64_t')
add(boolean, 'bool')
add(pointer, 'void *', 'const void *')
add(tostring, uuid(), decimal.new(0), datetime.new(), datetime.interval.new())
add(function(value)
  return nil, tostring(value)
end, varbinary.new())

--- The text of a cdata; or nil and bytes that are printed as binary data; or nothing, where a
-- cdata says nothing by itself.
function scalars.cdata(value, precision)
  local writer = writers[tonumber(typeof(value))]
  -- A type has the number of its values.
  if writer == nil or sub(tostring(value), 1, 6) == 'ctype<' then
    return nil
  end
  return writer(value, precision)
end

--- Whether a cdata is uuid.NULL, which Tarantool takes for no uuid: it prints its text.
function scalars.is_null_uuid(value)
  return rawequal(value, NULL_UUID)
end

--- A NULL of light userdata.
function scalars.is_null(value)
  return type(value) == 'userdata' and tostring(value) == 'userdata: NULL'
end

return scalars
