-- Checks of what is given to the functions of box.schema. Pure; all of them call it.

local errors = require('beespace.box.error')

local error, next, pairs, tostring, type = error, next, pairs, tostring, type

local options = {}

-- Raise that an argument is wrong.
function options.refuse(text, ...)
  error(errors.client('ILLEGAL_PARAMS', text:format(...)))
end

local function fits(value, expected)
  for kind in expected:gmatch('%a+') do
    if type(value) == kind then
      return true
    end
  end
  return false
end

-- The options given, an empty table for none. `known` has the types by name: {a = 'string'},
-- {b = 'string, number'}.
function options.check(given, known)
  if given == nil then
    return {}
  elseif type(given) ~= 'table' then
    options.refuse('options should be a table')
  end
  for name in pairs(given) do
    if known[name] == nil then
      options.refuse("unexpected option '%s'", tostring(name))
    end
  end
  for name, expected in next, known do
    local value = given[name]
    if type(value) ~= 'nil' and not fits(value, expected) then
      options.refuse("options parameter '%s' should be %s %s", name,
        expected:find(',', 1, true) and 'one of types:' or 'of type', expected)
    end
  end
  return given
end

-- A text, raising what it should have been.
function options.text(value, what)
  if type(value) ~= 'string' then
    options.refuse('%s should be a string', what)
  end
  return value
end

return options
