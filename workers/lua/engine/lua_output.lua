-- Values as Lua text: what a console answers after `\set output lua`.
--
-- engine/console calls answer(format, ok, ...) for the results of a statement or its error, and
-- push(format, value); `format` = {opt = 'line' or 'block', eos = what ends an answer}. The text is
-- the same for the same values, as keys are sorted. It is Lua that makes the values again, as far
-- as Lua can: what is no data is written as its name, a table inside of itself as nil, and a table
-- met twice is written twice. What cannot be serialised raises a text.
--
-- Big values give way to other fibers now and then, also within a long text and while many keys are
-- read and sorted; keys are read before values are written, so tables may change.

local buffer = require('string.buffer')
local ask = require('beespace.engine.yaml_ask')
local fibers = require('beespace.engine.fibers')
local key_order = require('beespace.engine.key_order')
local scalars = require('beespace.engine.yaml_scalars')

local rep = string.rep
local floor, max = math.floor, math.max
local error, next, pcall, rawget, select = error, next, pcall, rawget, select
local tonumber, tostring, type = tonumber, tostring, type
local clock = fibers.clock

-- Tables inside one another; values that are copies, as their table was written before; holes of a
-- list that shall be one.
local MOST_DEEP, MOST_COPIES, MOST_HOLES = 200, 100000, 100000
-- Bytes of a text that are written at once.
local SLICE = 16384
-- Longest key that is looked at for being a name.
local LONGEST_NAME = 256
-- Values between two looks at the clock, and seconds until others have their turn.
local STEP, TURN = 200, 0.002
local INDENT = '  '

local KEYWORDS = {}
for word in ('and break do else elseif end false for function goto if in local nil not or repeat'
  .. ' return then true until while'):gmatch('%a+') do
  KEYWORDS[word] = true
end

-- What stands for bytes that are not written as they are.
local function signs_of(zero, backslash)
  local signs = {['"'] = '\\"', ["'"] = "\\'", ['\\'] = backslash, ['\n'] = '\\n', ['\t'] = '\\t',
    ['\r'] = '\\r', ['\a'] = '\\a', ['\b'] = '\\b', ['\f'] = '\\f', ['\v'] = '\\v', ['\0'] = zero}
  for byte = 0, 255 do
    local char = string.char(byte)
    signs[char] = signs[char] or (byte < 32 or byte > 126) and ('\\x%02x'):format(byte) or nil
  end
  return signs
end

-- The text of an error is read, not executed: its backslashes stay what they are. What is short for
-- a zero would take in a digit behind it.
local VALUE = {short = signs_of('\\0', '\\\\'), long = signs_of('\\x00', '\\\\')}
local ERROR = {short = signs_of('\\0', '\\'), long = signs_of('\\x00', '\\')}
local SPECIAL = '[%c"\'\\\127-\255]'

local INFINITE = {inf = '1/0', ['-inf'] = '-1/0', nan = '0/0', ['-nan'] = '0/0'}
local PRECISION = scalars.PRECISION

local lua_output = {}

-- Scalars ----------------------------------------------------------------------------------------

local function quoted(text)
  return '"' .. text:gsub(SPECIAL, text:find('%z%d') and VALUE.long or VALUE.short) .. '"'
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
local ASKING = {encode_load_metatables = true, encode_use_tostring = true}

-- A walk: how and where it writes, which tables are open and which were written, and when it gave
-- way. It goes on for all values of an answer, and looks for repeated tables in each by itself.
local function new_walk(format)
  return {block = format.opt == 'block', out = buffer.new(), open = {}, written = {}, repeated = 0,
    copies = 0, seen = 0, since = clock(), options = ASKING, said = {}}
end

local write

-- Let others run when their turn has come.
local function give_way(walk)
  if clock() - walk.since > TURN and fibers.may_wait() then
    fibers.suspend(0)
    walk.since = clock()
  end
end

local function count(walk)
  walk.seen = walk.seen + 1
  if walk.seen % STEP == 0 then
    give_way(walk)
  end
end

local function step(walk)
  count(walk)
  if walk.repeated > 0 then
    walk.copies = walk.copies + 1
    if walk.copies > MOST_COPIES then
      error('the same tables are written too often, see \\set output yaml', 0)
    end
  end
end

-- A text in quotes; `signs` is VALUE or ERROR.
local function put_text(walk, text, signs)
  local out = walk.out
  if #text <= SLICE then
    out:put('"', (text:gsub(SPECIAL, text:find('%z%d') and signs.long or signs.short)), '"')
    return
  end
  out:put('"')
  for from = 1, #text, SLICE do
    out:put((text:sub(from, from + SLICE - 1):gsub(SPECIAL, signs.long)))
    give_way(walk)
  end
  out:put('"')
end

-- How many keys there are; the largest that is a place in a list; how many are places.
local function measure(walk, value)
  local keys, last, places = 0, 0, 0
  for key in next, value do
    count(walk)
    keys = keys + 1
    if type(key) == 'number' and key > 0 and floor(key) == key then
      last, places = max(last, key), places + 1
    end
  end
  return keys, last, places
end

-- What stands before an item of a table, and at the end of a table that has items or not.
local function begin_item(walk, indent, is_first)
  if walk.block then
    walk.out:put(is_first and '\n' or ',\n', rep(INDENT, indent + 1))
  elseif not is_first then
    walk.out:put(', ')
  end
end

local function finish(walk, indent, is_empty)
  if walk.block then
    walk.out:put(is_empty and '\n\n' or '\n', rep(INDENT, indent))
  end
  walk.out:put('}')
end

local function write_list(walk, value, indent, last, asked)
  for index = 1, last do
    begin_item(walk, indent, index == 1)
    write(walk, rawget(value, index), indent + 1, asked)
  end
  finish(walk, indent, last == 0)
end

local function put_key(walk, key)
  if type(key) ~= 'string' then
    walk.out:put('[', scalar(key), ']')
  elseif #key <= LONGEST_NAME and key:find('^[%a_][%w_]*$') and not KEYWORDS[key] then
    walk.out:put(key)
  else
    walk.out:put('[')
    put_text(walk, key, VALUE)
    walk.out:put(']')
  end
end

local function write_map(walk, value, indent, asked)
  local keys = {}
  for key in next, value do
    count(walk)
    keys[#keys + 1] = key
  end
  keys = key_order.sorted(keys, give_way, walk)
  for index = 1, #keys do
    local key = keys[index]
    begin_item(walk, indent, index == 1)
    put_key(walk, key)
    walk.out:put(' = ')
    write(walk, rawget(value, key), indent + 1, asked)
  end
  finish(walk, indent, #keys == 0)
end

local LISTS, MAPS = {seq = true, sequence = true, array = true}, {map = true, mapping = true}

local function write_content(walk, value, indent, how, asked)
  local keys, last, places = measure(walk, value)
  if how == nil then
    local sparse = last > 10 and last > 2 * places
    how = places == keys and not sparse and 'seq' or 'map'
  end
  walk.out:put('{')
  if MAPS[how] then
    write_map(walk, value, indent, asked)
  elseif last - places > MOST_HOLES then
    error('a list has too many holes', 0)
  else
    write_list(walk, value, indent, last, asked)
  end
end

local function write_table(walk, value, indent, how, asked)
  if how ~= nil and not LISTS[how] and not MAPS[how] then
    error(ask.INVALID, 0)
  elseif walk.open[value] then
    walk.out:put('nil')
    return
  elseif indent > MOST_DEEP then
    error(('tables inside one another, more than %d'):format(MOST_DEEP), 0)
  end
  local again = walk.written[value] and 1 or 0
  walk.open[value], walk.written[value] = true, true
  walk.repeated = walk.repeated + again
  write_content(walk, value, indent, how, asked)
  walk.repeated = walk.repeated - again
  walk.open[value] = nil
end

local function write_object(walk, value, indent, asked)
  local said
  said, asked = ask.object(walk, value, asked)
  local kind = type(said)
  if kind == 'cdata' or kind == 'userdata' then
    walk.out:put(scalar(said))
  else
    write(walk, said, indent, asked)
  end
end

-- A value; `asked` functions of the application have said what it is on the way to it.
function write(walk, value, indent, asked)
  step(walk)
  local kind = type(value)
  if kind == 'string' then
    return put_text(walk, value, VALUE)
  elseif kind == 'table' then
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
  walk.out:put(scalar(value))
end

-- Answers ----------------------------------------------------------------------------------------

local function put_results(walk, ...)
  for index = 1, select('#', ...) do
    if index > 1 then
      walk.out:put(', ')
    end
    walk.written = {}
    write(walk, (select(index, ...)), 0, 0)
  end
end

local function put_error(walk, raised)
  walk.out:put('{')
  begin_item(walk, 0, true)
  walk.out:put('error = ')
  if type(raised) == 'nil' then
    walk.out:put('box.NULL')
  elseif type(raised) == 'string' then
    put_text(walk, raised, ERROR)
  else
    write(walk, raised, 1, 0)
  end
  finish(walk, 0, false)
end

-- The answer for these results, or for an error.
function lua_output.answer(format, ok, ...)
  local walk = new_walk(format)
  if ok then
    put_results(walk, ...)
  else
    put_error(walk, (...))
  end
  walk.out:put(format.eos)
  return walk.out:tostring()
end

-- A pushed value.
function lua_output.push(format, value)
  local walk = new_walk(format)
  walk.out:put('-- Push\n')
  write(walk, value, 0, 0)
  walk.out:put(';')
  return walk.out:tostring()
end

return lua_output
