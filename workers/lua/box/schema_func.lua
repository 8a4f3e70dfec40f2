-- box.schema.func: functions of the catalog, made and dropped, and called by their names.
--
--   create(name[, options])    drop(name[, {if_exists =}])    exists(name)
--   call(name, ...)            reload(module)
--
-- A name may be a number too where the function exists. Creating needs read and write on _func and
-- create on functions; the owner may drop it, and who has drop on it; calling is as in CALL. What
-- one does not see (box/schema_rights) does not exist, but for call. There are no modules in C:
-- such functions can be made and dropped, not called.

local access = require('beespace.engine.access')
local catalog = require('beespace.engine.catalog')
local definition = require('beespace.box.func_definition')
local errors = require('beespace.box.error')
local functions = require('beespace.engine.functions')
local options = require('beespace.box.schema_options')
local rights = require('beespace.box.schema_rights')
local state = require('beespace.engine.state')

local error, tostring, type = error, tostring, type
local cur = state.cur
local FUNC = 296
local DROP_OPTIONS = {if_exists = 'boolean'}

local func = {}

local function missing(named)
  error(errors.client('NO_SUCH_FUNCTION', tostring(named)))
end

function func.create(name, given)
  local chosen = options.check(given, definition.OPTIONS)
  rights.begin()
  options.text(name, 'name')
  access.check(access.READ, 'space', FUNC, '_func')
  if catalog.function_by_name[name] ~= nil then
    if not chosen.if_not_exists then
      error(errors.client('FUNCTION_EXISTS', name))
    end
    return
  end
  access.check(access.WRITE, 'space', FUNC, '_func')
  local fields = definition.fields(name, chosen)
  access.check(access.CREATE, 'function', nil, name)
  if fields.body ~= '' then
    functions.compile(name, fields.body, fields.is_sandboxed)
  end
  catalog.change('create_function', cur.euid, name, fields, chosen.if_not_exists)
end

function func.drop(named, given)
  local chosen = options.check(given, DROP_OPTIONS)
  rights.begin()
  local found = rights.func(named)
  if found == nil then
    if not chosen.if_exists then
      missing(named)
    end
    return
  end
  access.check(access.WRITE, 'space', FUNC, '_func')
  if found.owner ~= cur.euid then
    access.check(access.DROP, 'function', found.id, found.name)
  end
  catalog.change('drop_function', found.id, chosen.if_exists)
end

function func.exists(named)
  rights.begin()
  return type(named) ~= 'table' and type(named) ~= 'boolean' and rights.func(named) ~= nil
end

function func.call(name, ...)
  local kind = type(name)
  if kind ~= 'string' and kind ~= 'number' then
    error('Use func:call(...)', 2)
  end
  name = tostring(name)
  catalog.refresh()
  if catalog.function_by_name[name] == nil then
    missing(name)
  end
  access.check_call(name)
  return functions.call(name, ...)
end

function func.reload(module)
  local kind = type(module)
  if kind ~= 'string' and kind ~= 'number' then
    error(('Usage: box.schema.func.reload(module), got %s'):format(kind), 2)
  end
  rights.begin()
  access.check(access.EXECUTE, 'universe', nil, '')
  error(errors.client('NO_SUCH_MODULE', tostring(module)))
end

return func
