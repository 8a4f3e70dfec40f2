-- What Tarantool adds to Lua's string library: split, strip, startswith, ljust, hex and the like.
--
-- box/init calls define() with the library, whose table is also what methods of strings are found
-- in. Arguments are checked in Tarantool's words; positions may be negative and count from the end.

local byte, find, format, gsub = string.byte, string.find, string.format, string.gsub
local rep, sub = string.rep, string.sub
local char, error, tonumber, type = string.char, error, tonumber, type
local floor, huge, max, min = math.floor, math.huge, math.max, math.min

-- What strip takes away when it is not told.
local BLANKS = ' \t\n\v\f\r'

local strings = {}

local function bad(index, name, expected, got)
  error(format("bad argument #%d to 'string.%s' (%s expected, got %s)", index, name, expected, got),
    4)
end

-- Called by the functions below through one more: error() blames who called them.
local function check_text(index, name, value)
  if type(value) ~= 'string' then
    bad(index, name, 'string', type(value))
  end
end

local function check_position(index, name, value)
  if value ~= nil and type(value) ~= 'number' then
    bad(index, name, 'integer', type(value))
  end
end

local function check_count(index, name, value)
  if type(value) ~= 'number' or not (value >= 0) then
    bad(index, name, 'positive integer', type(value))
  end
end

-- The pieces between blanks, and after `most` of them the rest.
local function split_words(text, most)
  local pieces, at = {}, 1
  while true do
    local from = find(text, '%S', at)
    if from == nil then
      return pieces
    end
    local stop = most > 0 and find(text, '%s', from) or nil
    if stop == nil then
      pieces[#pieces + 1] = sub(text, from)
      return pieces
    end
    pieces[#pieces + 1] = sub(text, from, stop - 1)
    at, most = stop, most - 1
  end
end

local function split_at(text, separator, most)
  local pieces, at = {}, 1
  while true do
    local from, to = nil, nil
    if most > 0 then
      from, to = find(text, separator, at, true)
    end
    if from == nil then
      pieces[#pieces + 1] = sub(text, at)
      return pieces
    end
    pieces[#pieces + 1] = sub(text, at, from - 1)
    at, most = to + 1, most - 1
  end
end

-- The pieces of a text between separators, or between blanks: split(text[, separator[, most]]).
-- After `most` separators the rest is one piece.
function strings.split(text, separator, most)
  check_text(1, 'split', text)
  if separator ~= nil then
    check_text(2, 'split', separator)
  end
  if most ~= nil then
    check_count(3, 'split', most)
  end
  if separator == nil then
    return split_words(text, most or huge)
  elseif separator == '' then
    error("bad argument #2 to 'string.split' (non-empty string expected, got empty string)", 2)
  end
  return split_at(text, separator, most or huge)
end

-- The width and the filling of ljust, rjust and center; the bytes that are missing.
local function missing(name, text, width, filling)
  if type(text) ~= 'string' then
    bad(1, name, 'string', type(text))
  elseif type(width) ~= 'number' or not (width >= 0) then
    bad(2, name, 'positive integer', type(width))
  elseif filling ~= nil and (type(filling) ~= 'string' or #filling ~= 1) then
    bad(3, name, 'char', type(filling))
  end
  return max(0, floor(width) - #text), filling or ' '
end

-- A text with filling behind it, up to a width: ljust(text, width[, filling]).
function strings.ljust(text, width, filling)
  local count, with = missing('ljust', text, width, filling)
  return text .. rep(with, count)
end

-- With filling in front of it.
function strings.rjust(text, width, filling)
  local count, with = missing('rjust', text, width, filling)
  return rep(with, count) .. text
end

-- With filling on both sides; an odd one goes behind it.
function strings.center(text, width, filling)
  local count, with = missing('center', text, width, filling)
  local left = floor(count / 2)
  return rep(with, left) .. text .. rep(with, count - left)
end

-- Position in a text; the last one is -1.
local function position(value, size, default)
  if value == nil then
    return default
  end
  return value < 0 and size + value + 1 or value
end

-- Whether a text, from a position to another, begins with a head.
function strings.startswith(text, head, from, to)
  check_text(1, 'startswith', text)
  check_text(2, 'startswith', head)
  check_position(3, 'startswith', from)
  check_position(4, 'startswith', to)
  if head == '' then
    return true
  end
  from = position(from, #text, 1)
  to = min(#text, position(to, #text, #text))
  return from > 0 and to - from + 1 >= #head and sub(text, from, from + #head - 1) == head
end

-- Whether it ends with a tail.
function strings.endswith(text, tail, from, to)
  check_text(1, 'endswith', text)
  check_text(2, 'endswith', tail)
  check_position(3, 'endswith', from)
  check_position(4, 'endswith', to)
  if tail == '' then
    return true
  end
  from = max(1, position(from, #text, 1))
  to = min(#text, position(to, #text, #text))
  return to - from + 1 >= #tail and sub(text, to - #tail + 1, to) == tail
end

-- The bytes of a text as digits.
function strings.hex(text)
  check_text(1, 'hex', text)
  return (gsub(text, '.', function(each)
    return format('%02x', byte(each))
  end))
end

-- The bytes that digits stand for.
function strings.fromhex(digits)
  check_text(1, 'fromhex', digits)
  local problem = "bad argument #1 to 'string.fromhex' (%s)"
  if #digits % 2 ~= 0 then
    error(format(problem, 'even amount of chars expected, got odd amount'), 2)
  elseif find(digits, '%X') then
    error(format(problem, 'hex string expected, got non hex chars'), 2)
  end
  return (gsub(digits, '..', function(two)
    return char(tonumber(two, 16))
  end))
end

-- The set of the bytes of a text.
local function set_of(characters)
  local set = {}
  for index = 1, #characters do
    set[byte(characters, index)] = true
  end
  return set
end

local blanks = set_of(BLANKS)

-- A text without what it has of some characters at its ends.
local function stripped(text, characters, left, right)
  local set = characters == nil and blanks or set_of(characters)
  local first, last = 1, #text
  while left and first <= last and set[byte(text, first)] do
    first = first + 1
  end
  while right and last >= first and set[byte(text, last)] do
    last = last - 1
  end
  return sub(text, first, last)
end

-- strip(text[, characters]) at both ends; lstrip and rstrip at one.
for name, ends in pairs({strip = {true, true}, lstrip = {true, false}, rstrip = {false, true}}) do
  strings[name] = function(text, characters)
    check_text(1, name, text)
    if characters ~= nil then
      check_text(2, name, characters)
    end
    return stripped(text, characters, ends[1], ends[2])
  end
end

-- Put the functions into the library, here `string`.
function strings.define(library)
  for name, func in pairs(strings) do
    if name ~= 'define' then
      library[name] = func
    end
  end
end

return strings
