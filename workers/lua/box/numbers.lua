-- tonumber64: numbers of 64 bits from texts.
--
-- box/init makes it a global. A text is read as whole number, in base 10, or 16 and 2 by its
-- prefix, or in the base that is given; what a Lua number holds exactly is one, larger numbers are
-- cdata.

local ffi = require('ffi')

local find, lower, match, sub = string.find, string.lower, string.match, string.sub
local error, select, tonumber, type = error, select, tonumber, type
local floor = math.floor

-- Numbers below are exact and stay numbers.
local EXACT = 100000000000000ULL
local TOP = 18446744073709551615ULL
local LOWEST = 9223372036854775808ULL

local numbers = {}

-- The value of digits, nil where one is none or they are too many.
local function value_of(digits, base)
  local value = 0ULL
  local most = TOP / base
  for index = 1, #digits do
    local digit = tonumber(sub(digits, index, index), base)
    if digit == nil or value > most then
      return nil
    end
    local longer = value * base + digit
    if longer < value then
      return nil
    end
    value = longer
  end
  return value
end

local function as_number(value, negative)
  if not negative then
    return value < EXACT and tonumber(value) or value
  elseif value > LOWEST then
    return nil
  end
  local signed = -ffi.cast('int64_t', value)
  return value < EXACT and tonumber(signed) or signed
end

-- Digits without the prefix of their base, and the base: 10 where none is given.
local function based(digits, base)
  local prefix = lower(sub(digits, 1, 2))
  if prefix == '0x' and (base == nil or base == 16) then
    return sub(digits, 3), 16
  elseif prefix == '0b' and (base == nil or base == 2) then
    return sub(digits, 3), 2
  end
  return digits, base or 10
end

-- Digits without a suffix that says how many bits they have, and the suffix.
local function without_suffix(digits)
  local rest, suffix = match(lower(digits), '^(.-)(u?ll)$')
  if rest == nil then
    return digits, ''
  end
  return rest, suffix
end

local function parse(text, base)
  local sign, digits = match(text, '^%s*([-]?)%s*+?(%w+)%s*$')
  if digits == nil or find(text, '%z') then
    return nil
  end
  local bare, suffix = without_suffix(digits)
  local rest, radix = based(bare, base)
  if suffix ~= '' and radix > 20 then
    rest, radix, suffix = digits, base, ''
  end
  if rest == '' then
    return nil
  end
  local value = value_of(rest, radix)
  if value ~= nil and sign ~= '' and suffix == 'ull' then
    return -value
  end
  return value and as_number(value, sign ~= '')
end

-- Whether a value is a number already, Lua's or one of C.
local function is_number(value)
  return type(value) == 'number' or type(value) == 'cdata' and tonumber(value) ~= nil
end

local function checked_base(base)
  local number = (type(base) == 'number' or type(base) == 'string') and tonumber(base)
  if not number then
    error(("bad argument #2 to '?' (number expected, got %s)"):format(type(base)), 0)
  end
  number = floor(number)
  if number == -1 then
    return nil
  elseif number < 2 or number > 36 then
    error("bad argument #2 to '?' (base out of range)", 0)
  end
  return number
end

-- A number from a text: tonumber64(value[, base]). Numbers stay what they are; nil for the rest.
function numbers.tonumber64(...)
  if select('#', ...) == 0 then
    error("bad argument #1 to '?' (value expected)", 0)
  end
  local value, base = ...
  if base ~= nil then
    base = checked_base(base)
  end
  if type(value) == 'string' then
    return parse(value, base)
  elseif is_number(value) then
    if base ~= nil and base ~= 10 then
      error("bad argument #1 to '?' (string expected)", 0)
    end
    return value
  end
  return nil
end

return numbers
