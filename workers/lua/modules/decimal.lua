-- Module `decimal`: exact numbers of up to 38 digits; travel as MessagePack extension 1.
--
-- Called by applications and by engine/codec. A value keeps its payload, the scale as a MessagePack
-- integer and the digits as packed BCD with a sign nibble; arithmetic takes it apart into a sign,
-- a string of digits without leading zeros, and the scale (digits after the point, may be < 0).
-- Results of more than 38 digits are rounded half up. Sums, products and comparisons are made here;
-- what needs more than that, by Python's decimal through the bridge.

local bit = require('bit')
local bridge = require('beespace.bridge')
local ffi = require('ffi')
local decoder = require('beespace.engine.decode')
local ext = require('beespace.engine.ext')

local MAX_DIGITS = 38
local CAPACITY = 30
local NEGATIVE = {[0xb] = true, [0xd] = true}
local BAD_VALUE = 'incorrect value to convert to decimal as %d argument'
local BAD_TYPE = 'expected decimal, number or string as %d argument'

local band, rshift = bit.band, bit.rshift
local bytes_t = ffi.typeof('uint8_t[?]')

local metatable = {}

-- The scale at p[i] and the index behind it; nil when there is no MessagePack integer.
local function read_scale(p, i, e)
  local c = i < e and p[i] or 0xc1
  if not (c < 0x80 or c >= 0xe0 or (c >= 0xcc and c <= 0xd3)) then
    return nil
  end
  local ok, scale, next_index = pcall(decoder.decode, p, i, e, 0)
  if not ok or type(scale) ~= 'number' then
    return nil
  end
  return scale, next_index
end

-- Digits and sign of packed BCD; nil when a nibble is not what it should be.
local function read_digits(p, i, e)
  local digits = {}
  for k = i, e - 1 do
    local high, low = rshift(p[k], 4), band(p[k], 15)
    local last = k == e - 1
    if high > 9 or (last and low < 10) or (not last and low > 9) then
      return nil
    end
    digits[#digits + 1] = high
    digits[#digits + 1] = not last and low or nil
  end
  if #digits == 0 then
    return nil
  end
  local text = table.concat(digits):gsub('^0+', '')
  return text == '' and '0' or text, NEGATIVE[band(p[e - 1], 15)] == true
end

-- Parts of a payload {digits, scale, negative}; nil when it is not valid.
local function parse(p, i, n)
  local scale, at = read_scale(p, i, i + n)
  if scale == nil then
    return nil
  end
  local digits, negative = read_digits(p, at, i + n)
  if digits == nil or scale > MAX_DIGITS or #digits > MAX_DIGITS
     or #digits - scale > MAX_DIGITS then
    return nil
  end
  return {digits = digits, scale = scale, negative = negative}
end

local ctype, make = ext.define(1, CAPACITY, function(p, i, n)
  return parse(p, i, n) ~= nil
end, metatable)

local function is_decimal(value)
  return ffi.istype(ctype, value)
end

local function parts_of(value)
  return parse(ext.payload(value), 0, value.size)
end

-- Add one to a string of digits.
local function increment(digits)
  local head, nines = digits:match('^(.-)(9*)$')
  local zeros = ('0'):rep(#nines)
  if head == '' then
    return '1' .. zeros
  end
  return head:sub(1, -2) .. string.char(head:byte(-1) + 1) .. zeros
end

-- Drop `count` digits from the end, rounding half up.
local function drop(digits, count)
  if count > #digits then
    return '0'
  end
  local kept = digits:sub(1, #digits - count)
  if kept == '' then
    kept = '0'
  end
  if digits:byte(#digits - count + 1) >= 53 then
    kept = increment(kept)
  end
  return kept
end

-- A decimal of these parts, rounded to what fits; nil when its integer part does not.
local function build(digits, scale, negative)
  digits = digits:gsub('^0+', '')
  if digits == '' then
    digits = '0'
    scale = math.max(scale, 1 - MAX_DIGITS)
  end
  local excess = math.max(#digits - MAX_DIGITS, scale - MAX_DIGITS)
  if excess > 0 then
    digits, scale = drop(digits, excess), scale - excess
    if #digits > MAX_DIGITS then
      digits, scale = digits:sub(1, -2), scale - 1
    end
  end
  if #digits - scale > MAX_DIGITS then
    return nil
  end
  local nibbles = digits .. (negative and 'd' or 'c')
  if #nibbles % 2 == 1 then
    nibbles = '0' .. nibbles
  end
  local payload = bytes_t(CAPACITY)
  local size = 1
  payload[0] = band(scale, 255)
  if scale < -32 then
    payload[0], payload[1], size = 0xd0, band(scale, 255), 2
  end
  for k = 1, #nibbles, 2 do
    payload[size] = tonumber(nibbles:sub(k, k + 1), 16)
    size = size + 1
  end
  return make(payload, 0, size)
end

local function from_text(text)
  local sign, whole, fraction, exponent = text:match('^([+-]?)(%d*)%.?(%d*)([eE]?[+-]?%d*)$')
  if whole == nil or whole .. fraction == '' then
    return nil
  end
  local power = 0
  if exponent ~= '' then
    power = tonumber(exponent:match('^[eE]([+-]?%d+)$'))
    if power == nil or math.abs(power) > 1000000 then
      return nil
    end
  end
  return build(whole .. fraction, #fraction - power, sign == '-')
end

-- A decimal of an operand; raises, naming the argument by its position. `level` is that of the code
-- to blame, as error() counts from here.
local function convert(value, position, level)
  if is_decimal(value) then
    return value
  end
  local made
  if type(value) == 'string' then
    made = from_text(value)
  elseif type(value) == 'number' then
    made = from_text(('%.15g'):format(value))
  elseif type(value) == 'cdata' and tonumber(value) ~= nil then
    made = from_text((tostring(value):gsub('U?LL$', '')))
  else
    error(BAD_TYPE:format(position), level)
  end
  if made == nil then
    error(BAD_VALUE:format(position), level)
  end
  return made
end

-- Both operands as parts with one scale, so that their digits compare as integers.
local function align(a, b, level)
  local left, right = parts_of(convert(a, 1, level + 1)), parts_of(convert(b, 2, level + 1))
  local scale = math.max(left.scale, right.scale)
  local left_digits = left.digits .. ('0'):rep(scale - left.scale)
  local right_digits = right.digits .. ('0'):rep(scale - right.scale)
  local width = math.max(#left_digits, #right_digits)
  left.digits = ('0'):rep(width - #left_digits) .. left_digits
  right.digits = ('0'):rep(width - #right_digits) .. right_digits
  left.scale, right.scale = scale, scale
  return left, right
end

-- x + y or x - y of strings of one length; for a difference x must not be smaller.
local function combine(x, y, sign)
  local result, carry = {}, 0
  for k = #x, 1, -1 do
    local sum = x:byte(k) - 48 + sign * (y:byte(k) - 48) + carry
    carry = math.floor(sum / 10)
    result[k] = sum % 10
  end
  return (carry == 1 and '1' or '') .. table.concat(result)
end

local function checked(value)
  if value == nil then
    error('decimal operation failed', 3)
  end
  return value
end

local function add(left, right)
  if left.negative == right.negative then
    return build(combine(left.digits, right.digits, 1), left.scale, left.negative)
  end
  local big, small = left, right
  if left.digits < right.digits then
    big, small = right, left
  end
  local digits = combine(big.digits, small.digits, -1)
  return build(digits, left.scale, big.negative and digits:find('[1-9]') ~= nil)
end

local function multiply(x, y)
  local cells = {}
  for k = 1, #x + #y do
    cells[k] = 0
  end
  for a = #x, 1, -1 do
    local carry, digit = 0, x:byte(a) - 48
    for b = #y, 1, -1 do
      local sum = cells[a + b] + digit * (y:byte(b) - 48) + carry
      carry = math.floor(sum / 10)
      cells[a + b] = sum % 10
    end
    cells[a] = carry
  end
  return table.concat(cells)
end

-- Negative, 0 or positive.
local function compare(a, b)
  local left, right = align(a, b, 4)
  if left.digits:find('[1-9]') == nil and right.digits:find('[1-9]') == nil then
    return 0
  end
  if left.negative ~= right.negative then
    return left.negative and -1 or 1
  end
  if left.digits == right.digits then
    return 0
  end
  return ((left.digits < right.digits) ~= left.negative) and -1 or 1
end

local function is_operand(value)
  return is_decimal(value) or type(value) == 'number'
    or (type(value) == 'cdata' and value ~= nil and tonumber(value) ~= nil)
    or (type(value) == 'string' and from_text(value) ~= nil)
end

local function refuse_nil(a, b)
  if a == nil or b == nil then
    error('attempt to compare decimal with nil', 3)
  end
end

function metatable.__tostring(value)
  local parts = parts_of(value)
  local digits, scale = parts.digits, parts.scale
  if scale < 0 and digits ~= '0' then
    digits = digits .. ('0'):rep(-scale)
  elseif scale > 0 then
    digits = ('0'):rep(scale + 1 - #digits) .. digits
    digits = digits:sub(1, -scale - 1) .. '.' .. digits:sub(-scale)
  end
  return (parts.negative and '-' or '') .. digits
end

function metatable.__eq(a, b)
  return is_operand(a) and is_operand(b) and compare(a, b) == 0
end

function metatable.__lt(a, b)
  refuse_nil(a, b)
  return compare(a, b) < 0
end

function metatable.__le(a, b)
  refuse_nil(a, b)
  return compare(a, b) <= 0
end

function metatable.__add(a, b)
  local sum = checked(add(align(a, b, 3)))
  return sum
end

function metatable.__sub(a, b)
  local left, right = align(a, b, 3)
  right.negative = not right.negative
  local difference = checked(add(left, right))
  return difference
end

function metatable.__mul(a, b)
  local left, right = parts_of(convert(a, 1, 3)), parts_of(convert(b, 2, 3))
  local digits = multiply(left.digits, right.digits)
  local product = build(digits, left.scale + right.scale, left.negative ~= right.negative)
  product = checked(product)
  return product
end

function metatable.__unm(value)
  local parts = parts_of(value)
  return build(parts.digits, parts.scale, not parts.negative and parts.digits ~= '0')
end

-- What Python's decimal makes of one operand or two; nil when that is nothing.
local function calculated(operation, a, b)
  local text = bridge.decimal(operation, tostring(a), b ~= nil and tostring(b) or nil)
  return text and from_text(text)
end

for operation, event in pairs({divide = '__div', remainder = '__mod', power = '__pow'}) do
  metatable[event] = function(a, b)
    local result = checked(calculated(operation, convert(a, 1, 3), convert(b, 2, 3)))
    return result
  end
end

--- A decimal from a string, a number (15 significant digits of it), a cdata integer or a decimal.
local function new(...)
  if select('#', ...) == 0 then
    error('usage: decimal.new(value)', 2)
  end
  local made = convert((...), 1, 3)
  return made
end

local function abs(value)
  local parts = parts_of(convert(value, 1, 3))
  return build(parts.digits, parts.scale, false)
end

--- Digits after the point.
local function scale(value)
  return math.max(parts_of(convert(value, 1, 3)).scale, 0)
end

--- Digits, zeros between the point and the first other digit included.
local function precision(value)
  local parts = parts_of(convert(value, 1, 3))
  return math.max(#parts.digits + math.max(-parts.scale, 0), parts.scale)
end

local module = {
  abs = abs, is_decimal = is_decimal, new = new, precision = precision, scale = scale,
}

-- Functions of one decimal.
for _, name in ipairs({'exp', 'ln', 'log10', 'sqrt'}) do
  module[name] = function(...)
    if select('#', ...) == 0 then
      error(('usage: decimal.%s(decimal)'):format(name), 2)
    end
    local result = checked(calculated(name, convert((...), 1, 3)))
    return result
  end
end

return module
