-- table.copy and table.deepcopy, as Tarantool has them.
--
-- box/init calls define() with the library. Values that are no tables stay what they are; a table
-- whose metatable has __copy is copied by that function.

local getmetatable, next, setmetatable, type = getmetatable, next, setmetatable, type

local tables = {}

-- What the table's own function makes of it, if it has one.
local function own_copy(original)
  local metatable = getmetatable(original)
  local func = type(metatable) == 'table' and metatable.__copy or nil
  return func, metatable
end

-- A table with the same keys and values, and the same metatable.
function tables.copy(original)
  if type(original) ~= 'table' then
    return original
  end
  local func, metatable = own_copy(original)
  if func ~= nil then
    return func(original)
  end
  local result = {}
  for key, value in next, original do
    result[key] = value
  end
  return setmetatable(result, metatable)
end

local function deep(original, done)
  if type(original) ~= 'table' then
    return original
  elseif done[original] ~= nil then
    return done[original]
  end
  local func, metatable = own_copy(original)
  if func ~= nil then
    return func(original)
  end
  local result = {}
  done[original] = result
  for key, value in next, original do
    result[deep(key, done)] = deep(value, done)
  end
  return setmetatable(result, metatable)
end

-- The same with copies of the tables inside, each copied once.
function tables.deepcopy(original)
  return deep(original, {})
end

-- Put the functions into the library, here `table`.
function tables.define(library)
  library.copy, library.deepcopy = tables.copy, tables.deepcopy
end

return tables
