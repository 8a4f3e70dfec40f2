-- Wrong arguments, told in the words of Tarantool's C functions, which name the function as the
-- caller wrote it: used by modules/fiber and what it makes. And in our own, which tell what was
-- given and what was expected: refuse().
--
-- `level` is that of the function whose argument is wrong, as error() counts: 1 is the caller of
-- the function here.

local errors = require('beespace.box.error')

local getinfo, getmetatable = debug.getinfo, debug.getmetatable
local error, rawget, tonumber, tostring, type = error, rawget, tonumber, tostring, type
local format = string.format
local huge = math.huge

-- Bytes of a text that an error shows.
local SHOWN = 60

local arguments = {}

-- Raise that argument `index` is not what was expected; `got` is the name of its type.
function arguments.bad(index, expected, got, level)
  local called = getinfo(level + 1, 'n')
  local name = called.name or '?'
  if called.namewhat == 'method' then
    index = index - 1
    if index == 0 then
      error(format("calling '%s' on bad self (%s expected, got %s)", name, expected, got),
        level + 2)
    end
  end
  error(format("bad argument #%d to '%s' (%s expected, got %s)", index, name, expected, got),
    level + 2)
end

-- What reads the state that objects of a kind keep under `key`: reader(object, count, usage),
-- called by a method with the number of its arguments. It raises what a method says of other
-- values.
function arguments.reader(key, kind)
  return function(object, count, usage)
    local state = type(object) == 'table' and rawget(object, key) or nil
    if state == nil then
      if count == 0 then
        error('usage: ' .. usage, 3)
      end
      arguments.bad(1, kind, type(object), 2)
    end
    return state
  end
end

-- The type of the first of `count` arguments, for such a text.
function arguments.type_of(value, count)
  return count == 0 and 'no value' or type(value)
end

-- A number as C functions take it: numeric strings too, but no cdata; nil for anything else.
function arguments.number(value)
  local kind = type(value)
  if kind == 'number' or kind == 'string' then
    return tonumber(value)
  end
  return nil
end

-- Whether a value can be called as a function is.
function arguments.callable(value)
  if type(value) == 'function' then
    return true
  end
  local metatable = type(value) ~= 'cdata' and getmetatable(value) or nil
  return type(metatable) == 'table' and metatable.__call ~= nil
end

-- A timeout: whether it is one, and its seconds, nil when it never ends.
function arguments.timeout(value)
  if type(value) == 'nil' then
    return true, nil
  end
  local seconds = arguments.number(value)
  if seconds == nil or not (seconds >= 0) then
    return false, nil
  elseif seconds == huge then
    return true, nil
  end
  return true, seconds
end

-- A value as an error shows it.
function arguments.shown(value)
  local kind = type(value)
  if kind == 'string' then
    return ("'%s'"):format(#value > SHOWN and value:sub(1, SHOWN) .. '...' or value)
  elseif kind == 'number' or kind == 'boolean' then
    return tostring(value)
  elseif value == nil then
    return 'null'
  end
  return kind == 'cdata' and tonumber(value) and tostring(value) or 'a ' .. kind
end

-- Raise error ILLEGAL_PARAMS of the function `what`; the rest is a text with its arguments.
function arguments.refuse(what, text, ...)
  error(errors.client('ILLEGAL_PARAMS', what .. ': ' .. text:format(...)), 0)
end

return arguments
