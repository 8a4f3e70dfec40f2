-- box.func: the functions of the catalog as objects, by name and by number.
--
--   box.func.NAME, box.func[id]    nil when there is none
--   object:call({arguments})       as box.schema.func.call, the arguments in a table
--   object:drop()
--
-- A plain table, so that pairs() shows all of them; it follows the catalog, and looks there anew
-- before it says that something is missing. An object stays the same as long as its function
-- exists, and acts on whatever function has its name.

local catalog = require('beespace.engine.catalog')
local schema_func = require('beespace.box.schema_func')

local error, ipairs, pairs, rawget, setmetatable, type, unpack = error, ipairs, pairs, rawget,
  setmetatable, type, unpack

local func = {}

-- Objects by the number of their function.
local objects = {}

local methods = {}
local object_mt = {__index = methods}

local function check_object(object, method)
  if type(object) ~= 'table' or object.name == nil then
    error(('Use func:%s(...) instead of func.%s(...)'):format(method, method), 3)
  end
end

function methods.call(object, arguments)
  check_object(object, 'call')
  if arguments ~= nil and type(arguments) ~= 'table' then
    error('Use func:call(table)', 2)
  end
  return schema_func.call(object.name, unpack(arguments or {}))
end

function methods.drop(object)
  check_object(object, 'drop')
  schema_func.drop(object.name)
end

local function make(record)
  local object = {
    id = record.id, name = record.name, language = record.language, setuid = record.setuid,
    returns = record.returns, aggregate = record.aggregate,
    is_deterministic = record.is_deterministic, exports = {lua = false, sql = false},
    is_multikey = record.opts.is_multikey == true,
  }
  for _, engine in ipairs(record.exports) do
    object.exports[engine:lower()] = true
  end
  if record.language == 'LUA' and record.body ~= '' then
    object.body, object.is_sandboxed = record.body, record.is_sandboxed
  end
  if record.comment ~= '' then
    object.comment = record.comment
  end
  return setmetatable(object, object_mt)
end

local function forget(id, object)
  objects[id] = nil
  for _, key in ipairs({id, object.name}) do
    if rawget(func, key) == object then
      func[key] = nil
    end
  end
end

-- Show what the catalog has now.
local function follow()
  for id, object in pairs(objects) do
    if catalog.functions[id] == nil then
      forget(id, object)
    end
  end
  for id, record in pairs(catalog.functions) do
    if objects[id] == nil then
      local object = make(record)
      objects[id], func[id], func[record.name] = object, object, object
    end
  end
end

catalog.on_refresh(follow)

return setmetatable(func, {__index = function(_, key)
  catalog.refresh()
  follow()
  return rawget(func, key)
end})
