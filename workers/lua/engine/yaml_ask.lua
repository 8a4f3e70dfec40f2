-- What stands in the place of a value: __serialize of tables, cdata and userdata.
--
-- Called by engine/yaml_walk with its context. The functions are the application's: they must not
-- wait, and what they answer may have to be asked again, which ends after MOST calls on the way
-- from the root of a document. All errors are texts.

local encode = require('beespace.engine.encode')

local error, pcall, rawget, tostring, type = error, pcall, rawget, tostring, type
local getmetatable = debug.getmetatable
local writing = encode.settings

local refuse = encode.refuse

local MOST = 200
local INVALID = 'invalid __serialize value'
local ENDLESS = ('__serialize answers with what has to be asked again, more than %d times')
  :format(MOST)

local ask = {INVALID = INVALID}

-- Call a __serialize function.
local function call(serialize, value)
  local asking = writing.asking
  writing.asking = 1
  local ok, said = pcall(serialize, value)
  writing.asking = asking
  return ok, said
end

-- What is said of an error in a function: as in Tarantool, nothing unless it is a text.
local function text_of(raised)
  local kind = type(raised)
  return (kind == 'string' or kind == 'number') and tostring(raised) or ''
end

-- A table's own word on how it is printed: nil, a hint, or a function.
local function serializer_of(c, t)
  local mt = getmetatable(t)
  if mt ~= nil and c.options.encode_load_metatables then
    return rawget(mt, '__serialize')
  end
end

-- What a table's function says. The newest rules ask each table once.
local function said_by(c, how, t)
  local said = c.said[t]
  if said == nil then
    local ok, result = call(how, t)
    if not ok then
      error(text_of(result), 0)
    end
    said = result
    if c.newest then
      c.said[t] = said
    end
  end
  return said
end

--- The value in the place of a table, which may be the table itself; how many calls there were on
-- the way from the root, `asked` until here; the hint of a table.
function ask.table(c, value, asked)
  while type(value) == 'table' do
    local how = serializer_of(c, value)
    if how == refuse and c.options.encode_use_tostring then
      return tostring(value), asked
    elseif type(how) ~= 'function' then
      return value, asked, how
    end
    asked = asked + 1
    if asked > MOST then
      error(ENDLESS, 0)
    end
    value = said_by(c, how, value)
  end
  return value, asked, nil
end

local function index(value)
  return value.__serialize
end

--- The same for a cdata or userdata; an error of its function is what it says.
function ask.object(c, value, asked)
  if not c.options.encode_load_metatables then
    return value, asked
  end
  local ok, how = pcall(index, value)
  if not ok or how == nil then
    return value, asked
  elseif type(how) ~= 'function' then
    error(INVALID, 0)
  elseif asked >= MOST then
    error(ENDLESS, 0)
  end
  local _, said = call(how, value)
  return said, asked + 1
end

return ask
