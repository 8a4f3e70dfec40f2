-- Values as Lua text: what a console answers after `\set output lua`.
--
-- engine/console calls answer(format, ok, ...) for the results of a statement or its error, and
-- push(format, value); `format` = {opt = 'line' or 'block', eos = what ends an answer}. The text is
-- the same for the same values: keys are sorted. It is Lua that makes the values again, as far as
-- Lua can: what is no data is written as its name, a table inside of itself as nil, and a table met
-- twice is written twice. Values that cannot be serialised raise a text.
--
-- Big values give way to other fibers now and then; keys are read before, so tables may change.

local ask = require('beespace.engine.yaml_ask')
local fibers = require('beespace.engine.fibers')
local scalars = require('beespace.engine.yaml_scalars')

local concat, rep, sort = table.concat, string.rep, table.sort
local floor, max = math.floor, math.max
local error, next, pcall, rawget, select = error, next, pcall, rawget, select
local tonumber, tostring, type = tonumber, tostring, type
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

local INFINITE = {inf = '1/0', ['-inf'] = '-1/0', nan = '0/0', ['-nan'] = '0/0'}
local PRECISION = 14

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
  local text = scalars.number(value, PRECISION)
  return INFINITE[text] or text
end

local function name_of(value)
  local ok, text = pcall(tostring, value)
  return quoted(ok and type(text) == 'string' and text or type(value))
end

-- What has numbers in it is one; uuids and the like are texts.
local function cdata(value)
  local text, bytes = scalars.cdata(value, PRECISION)
  if text == 'null' then
    return 'box.NULL'
  elseif text ~= nil and tonumber(value) ~= nil then
    return INFINITE[text] or text
  end
  text = text or bytes
  return text and quoted(text)
end

-- The application may say what a userdata is as a text, or raise.
local function is_null(value)
  local ok, null = pcall(scalars.is_null, value)
  return ok and null
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
  return kind == 'cdata' and cdata(value) or is_null(value) and 'box.NULL' or name_of(value)
end

-- Tables -----------------------------------------------------------------------------------------

-- What engine/yaml_ask wants to know.
local ASKING = {encode_load_metatables = true}

-- A walk: how it writes, which tables are open and which were written, and when it gave way.
local function new_walk(format)
  return {block = format.opt == 'block', open = {}, written = {}, repeated = 0, copies = 0,
    seen = 0, since = clock(), options = ASKING, said = {}}
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

local function write_list(walk, value, indent, last, asked)
  local parts = {}
  for index = 1, last do
    parts[index] = write(walk, rawget(value, index), indent + 1, asked)
  end
  return enclose(walk, parts, indent)
end

local function key_text(key)
  if type(key) == 'string' and key:find('^[%a_][%w_]*$') and not KEYWORDS[key] then
    return key
  end
  return '[' .. scalar(key) .. ']'
end

local function write_map(walk, value, indent, keys, asked)
  sort(keys, before)
  local parts = {}
  for index = 1, #keys do
    local key = keys[index]
    parts[index] = key_text(key) .. ' = ' .. write(walk, rawget(value, key), indent + 1, asked)
  end
  return enclose(walk, parts, indent)
end

local LISTS, MAPS = {seq = true, sequence = true, array = true}, {map = true, mapping = true}

local function write_content(walk, value, indent, how, asked)
  local keys, last, places = keys_of(value)
  if how == nil then
    local sparse = last > 10 and last > 2 * places
    how = places == #keys and not sparse and 'seq' or 'map'
  end
  if MAPS[how] then
    return write_map(walk, value, indent, keys, asked)
  elseif last - places > MOST_HOLES then
    error('a list has too many holes', 0)
  end
  return write_list(walk, value, indent, last, asked)
end

local function write_table(walk, value, indent, how, asked)
  if how ~= nil and not LISTS[how] and not MAPS[how] then
    error(ask.INVALID, 0)
  elseif walk.open[value] then
    return 'nil'
  elseif indent > MOST_DEEP then
    error(('tables inside one another, more than %d'):format(MOST_DEEP), 0)
  end
  local again = walk.written[value] and 1 or 0
  walk.open[value], walk.written[value] = true, true
  walk.repeated = walk.repeated + again
  local text = write_content(walk, value, indent, how, asked)
  walk.repeated = walk.repeated - again
  walk.open[value] = nil
  return text
end

local function write_object(walk, value, indent, asked)
  local said
  said, asked = ask.object(walk, value, asked)
  local kind = type(said)
  if kind == 'cdata' or kind == 'userdata' then
    return scalar(said)
  end
  return write(walk, said, indent, asked)
end

-- A value; `asked` functions of the application have said what it is on the way to it.
function write(walk, value, indent, asked)
  step(walk)
  local kind = type(value)
  if kind == 'table' then
    local how
    value, asked, how = ask.table(walk, value, asked)
    if type(value) == 'table' then
      return write_table(walk, value, indent, how, asked)
    end
    return write(walk, value, indent, asked)
  elseif kind == 'userdata' and not is_null(value)
    or kind == 'cdata' and cdata(value) == nil then
    return write_object(walk, value, indent, asked)
  end
  return scalar(value)
end

-- Answers ----------------------------------------------------------------------------------------

-- The answer for these results, or for an error.
function lua_output.answer(format, ok, ...)
  local parts = {}
  if ok then
    for index = 1, select('#', ...) do
      parts[index] = write(new_walk(format), (select(index, ...)), 0, 0)
    end
    return concat(parts, ', ') .. format.eos
  end
  local raised = ...
  local walk = new_walk(format)
  local text = type(raised) == 'nil' and 'box.NULL'
    or type(raised) == 'string' and quoted_error(raised) or write(walk, raised, 1, 0)
  return enclose(walk, {'error = ' .. text}, 0) .. format.eos
end

-- A pushed value.
function lua_output.push(format, value)
  return '-- Push\n' .. write(new_walk(format), value, 0, 0) .. ';'
end

return lua_output
