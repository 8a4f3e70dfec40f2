-- Small plain answers as YAML, without events and without Python: most of what a console prints.
--
-- Called by engine/yaml before it walks the values. Plain are numbers, booleans, nil, short words
-- of ASCII, and small tables of those that have no metatable, are not empty and not met twice; both
-- dialects print the same text of them. For everything else the answer is nil, and the document is
-- made the usual way. Nothing of the application runs in here.

local scalars = require('beespace.engine.yaml_scalars')
local new_buffer = require('string.buffer').new

local find, getmetatable = string.find, debug.getmetatable
local next, rawget, select, type = next, rawget, select, type
local style_of, number_text = scalars.style, scalars.number
local STYLE, PRECISION = scalars.PLAIN, scalars.PRECISION

-- Bytes of a word, levels of indentation at which a table may begin, and values of an answer. The
-- longest line is shorter than 80 columns, where libyaml would begin to fold it.
local LONGEST, DEEPEST, MOST = 32, 4, 256
-- Words that libyaml leaves bare in a block: what is a sign of YAML in front is not in front, and a
-- colon is not behind.
local WORD = '^[%w_][%w_./@-]*$'
local WORDS = '^[%w_][%w_ ./:@,-]*[%w_]$'

local plain = {}

local indents = {}
for level = 0, DEEPEST + 1 do
  indents[level] = ('  '):rep(level)
end

-- One answer is made at a time: the text so far, the values that it may still have, and the tables
-- that were met.
local out = new_buffer()
local left, met

-- The text of a word, nil when it is none.
local function word_text(text)
  local size = #text
  if size == 0 or size > LONGEST or style_of(text, false, false) ~= STYLE then
    return nil
  elseif find(text, WORD) or find(text, WORDS) and not find(text, ': ', 1, true) then
    return text
  end
  return nil
end

-- The text of a value that is no table, nil when it is not plain.
local function scalar_text(value)
  local kind = type(value)
  if kind == 'string' then
    return word_text(value)
  elseif kind == 'number' then
    return number_text(value, PRECISION)
  elseif kind == 'boolean' then
    return value and 'true' or 'false'
  end
  return kind == 'nil' and 'null' or nil
end

local put_sequence, put_mapping

-- By its type: a cdata may have its own idea of what it is equal to.
local function is_sequence(t)
  return type(rawget(t, 1)) ~= 'nil'
end

-- Whether one more table may be printed; it is noted as met.
local function may_enter(t, level)
  if level > DEEPEST or met[t] or getmetatable(t) ~= nil then
    return false
  end
  met[t] = true
  return true
end

-- Count one more value; whether there may be so many.
local function count_one()
  left = left - 1
  return left >= 0
end

-- Put a value that is no table behind `lead`; whether it was plain.
local function put_scalar(lead, value)
  local text = scalar_text(value)
  if text == nil then
    return false
  end
  out:put(lead, text, '\n')
  return true
end

-- Put an item: a dash and its value; whether it was plain.
local function put_item(value, level)
  if not count_one() then
    return false
  elseif type(value) ~= 'table' then
    return put_scalar('- ', value)
  elseif not may_enter(value, level) then
    return false
  end
  out:put('- ')
  if is_sequence(value) then
    return put_sequence(value, level)
  end
  return put_mapping(value, level, false)
end

-- A table behind a key: a sequence begins below the key, a mapping two columns further.
local function put_below(value, level)
  if not may_enter(value, level) then
    return false
  end
  out:put('\n')
  if is_sequence(value) then
    out:put(indents[level])
    return put_sequence(value, level)
  end
  return put_mapping(value, level + 1, true)
end

-- Put a value behind its key.
local function put_value(value, level)
  if not count_one() then
    return false
  elseif type(value) == 'table' then
    return put_below(value, level)
  end
  return put_scalar(' ', value)
end

-- Items 1 .. size without a hole, and nothing else in the table. The first dash follows what is
-- there.
function put_sequence(t, level)
  local size = 0
  for _ in next, t do
    size = size + 1
    if type(rawget(t, size)) == 'nil' then
      return false
    end
  end
  for place = 1, size do
    if place > 1 then
      out:put(indents[level])
    end
    if not put_item(rawget(t, place), level + 1) then
      return false
    end
  end
  return true
end

-- Words as keys. The first one follows what is there unless `indented`.
function put_mapping(t, level, indented)
  local key, value = next(t)
  if key == nil then
    return false
  end
  while key ~= nil do
    local text = type(key) == 'string' and word_text(key)
    if not text then
      return false
    end
    if indented then
      out:put(indents[level])
    end
    indented = true
    out:put(text, ':')
    if not put_value(value, level) then
      return false
    end
    key, value = next(t, key)
  end
  return true
end

local function put_list(...)
  for place = 1, select('#', ...) do
    if not put_item((select(place, ...)), 1) then
      return false
    end
  end
  return true
end

--- The answer with these results, one at least; nil when it is not plain.
function plain.answer(...)
  left, met = MOST, {}
  out:reset():put('---\n')
  local text = put_list(...) and out:put('...\n'):tostring() or nil
  met = nil
  return text
end

return plain
