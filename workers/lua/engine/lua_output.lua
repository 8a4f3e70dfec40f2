-- Values as Lua text: what a console answers after `\set output lua`.
--
-- engine/console calls answer(format, ok, ...) for the results of a statement or its error, and
-- push(format, value); `format` = {opt = 'line' or 'block', eos = what ends an answer}. The text is
-- the same for the same values: keys are sorted. It is Lua that makes the values again, as far as
-- Lua can: what is no data is written as its name, a table inside of itself as nil, and a table met
-- twice is written twice. Values that cannot be serialised raise a text.
--
-- Big values give way to other fibers now and then; keys are read before, so tables may change.

local ffi = require('ffi')
local fibers = require('beespace.engine.fibers')

local concat, rep, sort = table.concat, string.rep, table.sort
local floor, max = math.floor, math.max
local debug_getmetatable = debug.getmetatable
local error, ipairs, next, pcall, rawget = error, ipairs, next, pcall, rawget
local select, tonumber, tostring, type = select, tonumber, tostring, type
local istype = ffi.istype
local clock = fibers.clock

-- Tables inside one another; values that are copies, as their table was written before; holes of a
-- list that shall be one.
local MOST_DEEP, MOST_COPIES, MOST_HOLES = 200, 100000, 100000
-- Values between two looks at the clock, and seconds until others have their turn.
local STEP, TURN = 200, 0.002
local INDENT = '  '

local KEYWORDS = {}
for word in ('and break do else elseif end false for function goto if in local nil not or repeat'
  .. ' return then true until while'):gmatch('%a+') do
  KEYWORDS[word] = true
end

local SIGNS = {['"'] = '\\"', ["'"] = "\\'", ['\\'] = '\\\\', ['\n'] = '\\n', ['\t'] = '\\t',
  ['\r'] = '\\r', ['\a'] = '\\a', ['\b'] = '\\b', ['\f'] = '\\f', ['\v'] = '\\v', ['\0'] = '\\0'}
for byte = 0, 255 do
  local char = string.char(byte)
  SIGNS[char] = SIGNS[char] or (byte < 32 or byte > 126) and ('\\x%02x'):format(byte) or nil
end

local WHOLE = {'int8_t', 'int16_t', 'int32_t', 'uint8_t', 'uint16_t', 'uint32_t', 'char'}

local lua_output = {}

-- Scalars ----------------------------------------------------------------------------------------

local function quoted(text)
  local zero = text:find('%z%d') and '\\x00' or '\\0'
  return '"' .. text:gsub('[%c"\'\\\127-\255]', function(char)
    return char == '\0' and zero or SIGNS[char]
  end) .. '"'
end

-- The text of an error is read, not executed: its backslashes stay what they are.
local function quoted_error(text)
  return (quoted(text):gsub('\\\\', '\\'))
end

local function number(value)
  if value ~= value then
    return '0/0'
  elseif value == 1 / 0 then
    return '1/0'
  elseif value == -1 / 0 then
    return '-1/0'
  elseif value == 0 then
    return '0'
  elseif floor(value) == value and value >= -2 ^ 63 and value < 2 ^ 64 then
    return ('%.0f'):format(value)
  end
  return ('%.14g'):format(value)
end

local function name_of(value)
  local ok, text = pcall(tostring, value)
  return quoted(ok and type(text) == 'string' and text or type(value))
end

-- Text of a cdata that is a number, a boolean or NULL; nil for any other.
local function plain_cdata(value)
  if tostring(ffi.typeof(value)) == tostring(value) then
    return nil
  elseif istype('int64_t', value) or istype('uint64_t', value) then
    return (tostring(value):gsub('U?LL$', ''))
  elseif istype('bool', value) then
    return tonumber(value) ~= 0 and 'true' or 'false'
  elseif istype('float', value) or istype('double', value) then
    return number(tonumber(value))
  elseif istype('void *', value) and value == nil then
    return 'box.NULL'
  end
  for _, kind in ipairs(WHOLE) do
    if istype(kind, value) then
      return tostring(tonumber(value))
    end
  end
  return nil
end

local function scalar(value)
  local kind = type(value)
  if kind == 'string' then
    return quoted(value)
  elseif kind == 'number' then
    return number(value)
  elseif kind == 'nil' or kind == 'boolean' then
    return tostring(value)
  end
  local ok, text
  if kind == 'cdata' then
    ok, text = pcall(plain_cdata, value)
  end
  return ok and text or name_of(value)
end

-- Tables -----------------------------------------------------------------------------------------

-- A walk: how it writes, which tables are open and which were written, and when it gave way.
local function new_walk(format)
  return {block = format.opt == 'block', open = {}, written = {}, repeated = 0, copies = 0,
    seen = 0, since = clock()}
end

local write

local function step(walk)
  walk.seen = walk.seen + 1
  if walk.seen % STEP == 0 and clock() - walk.since > TURN and fibers.may_wait() then
    fibers.suspend(0)
    walk.since = clock()
  end
  if walk.repeated > 0 then
    walk.copies = walk.copies + 1
    if walk.copies > MOST_COPIES then
      error('the same tables are written too often, see \\set output yaml', 0)
    end
  end
end

local ORDER = {number = 1, string = 2, boolean = 3}

local function before(a, b)
  local kind, other = type(a), type(b)
  if kind ~= other then
    return (ORDER[kind] or 4) < (ORDER[other] or 4)
  elseif kind == 'number' or kind == 'string' then
    return a < b
  end
  return tostring(a) < tostring(b)
end

-- All keys; the largest that is a place in a list; how many those are.
local function keys_of(value)
  local keys, last, places = {}, 0, 0
  for key in next, value do
    keys[#keys + 1] = key
    if type(key) == 'number' and key > 0 and floor(key) == key then
      last, places = max(last, key), places + 1
    end
  end
  return keys, last, places
end

local function enclose(walk, parts, indent)
  if not walk.block then
    return '{' .. concat(parts, ', ') .. '}'
  end
  local inner = rep(INDENT, indent + 1)
  for index = 1, #parts do
    parts[index] = inner .. parts[index]
  end
  return '{\n' .. concat(parts, ',\n') .. '\n' .. rep(INDENT, indent) .. '}'
end

local function write_list(walk, value, indent, last)
  local parts = {}
  for index = 1, last do
    parts[index] = write(walk, rawget(value, index), indent + 1)
  end
  return enclose(walk, parts, indent)
end

local function key_text(key)
  if type(key) == 'string' and key:find('^[%a_][%w_]*$') and not KEYWORDS[key] then
    return key
  end
  return '[' .. scalar(key) .. ']'
end

local function write_map(walk, value, indent, keys)
  sort(keys, before)
  local parts = {}
  for index = 1, #keys do
    local key = keys[index]
    parts[index] = key_text(key) .. ' = ' .. write(walk, rawget(value, key), indent + 1)
  end
  return enclose(walk, parts, indent)
end

local LISTS, MAPS = {seq = true, sequence = true, array = true}, {map = true, mapping = true}

local function write_content(walk, value, indent, how)
  local keys, last, places = keys_of(value)
  if how == nil then
    local sparse = last > 10 and last > 2 * places
    how = places == #keys and not sparse and 'seq' or 'map'
  end
  if MAPS[how] then
    return write_map(walk, value, indent, keys)
  elseif last - places > MOST_HOLES then
    error('a list has too many holes', 0)
  end
  return write_list(walk, value, indent, last)
end

-- What an application's function says in the place of a value.
local function write_said(walk, said, indent)
  walk.said = (walk.said or 0) + 1
  if walk.said > MOST_DEEP then
    error('a __serialize function answers with what is to be serialised again, without end', 0)
  end
  local text = write(walk, said, indent)
  walk.said = walk.said - 1
  return text
end

local function write_table(walk, value, indent)
  local metatable = debug_getmetatable(value)
  local how = type(metatable) == 'table' and rawget(metatable, '__serialize') or nil
  if type(how) == 'function' then
    return write_said(walk, how(value), indent)
  elseif how ~= nil and not LISTS[how] and not MAPS[how] then
    error('invalid __serialize value', 0)
  elseif walk.open[value] then
    return 'nil'
  elseif indent > MOST_DEEP then
    error(('tables inside one another, more than %d'):format(MOST_DEEP), 0)
  end
  local again = walk.written[value] and 1 or 0
  walk.open[value], walk.written[value] = true, true
  walk.repeated = walk.repeated + again
  local text = write_content(walk, value, indent, how)
  walk.repeated = walk.repeated - again
  walk.open[value] = nil
  return text
end

local function serialize_of(value)
  return value.__serialize
end

local function write_object(walk, value, indent)
  local ok, how = pcall(serialize_of, value)
  if not ok or type(how) == 'nil' then
    return scalar(value)
  elseif type(how) ~= 'function' then
    error('invalid __serialize value', 0)
  end
  local said_ok, said = pcall(how, value)
  return write_said(walk, said_ok and said or tostring(said), indent)
end

function write(walk, value, indent)
  step(walk)
  local kind = type(value)
  if kind == 'table' then
    return write_table(walk, value, indent)
  elseif kind == 'cdata' or kind == 'userdata' then
    return write_object(walk, value, indent)
  end
  return scalar(value)
end

-- Answers ----------------------------------------------------------------------------------------

-- The answer for these results, or for an error.
function lua_output.answer(format, ok, ...)
  local parts = {}
  if ok then
    for index = 1, select('#', ...) do
      parts[index] = write(new_walk(format), (select(index, ...)), 0)
    end
    return concat(parts, ', ') .. format.eos
  end
  local raised = ...
  local walk = new_walk(format)
  local text = type(raised) == 'nil' and 'box.NULL'
    or type(raised) == 'string' and quoted_error(raised) or write(walk, raised, 1)
  return enclose(walk, {'error = ' .. text}, 0) .. format.eos
end

-- A pushed value.
function lua_output.push(format, value)
  return '-- Push\n' .. write(new_walk(format), value, 0) .. ';'
end

return lua_output
