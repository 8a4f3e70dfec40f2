-- box.space: the system spaces by name and by number, read-only.
--
-- box/init makes it a part of box; an unknown space is nil. Reading goes through engine/views, as
-- requests of clients do, with the rights of the user whose rights apply; rows come as tuples.
-- Indexes have the same methods, and are in space.index by name and by number.

local errors = require('beespace.box.error')
local search = require('beespace.engine.view_search')
local spaces = require('beespace.engine.view_spaces')
local tuple = require('beespace.box.tuple')
local views = require('beespace.engine.views')

local error, ipairs, pairs, select = error, ipairs, pairs, select
local floor, huge = math.floor, math.huge
local setmetatable, tonumber, tostring, type = setmetatable, tonumber, tostring, type

-- What an object stands for: {space = definition, index = number}.
local behind = setmetatable({}, {__mode = 'k'})

local function behind_of(object, kind, method)
  local found = behind[object]
  if found == nil then
    error(('Use %s:%s(...) instead of %s.%s(...)'):format(kind, method, kind, method), 3)
  end
  return found
end

-- Arguments -------------------------------------------------------------------------------

local function key_of(key)
  if key == nil then
    return {}
  elseif type(key) == 'table' then
    return key
  end
  return {key}
end

-- The iterator that options name; a number stands for itself.
local function iterator_of(options, key)
  local wanted = options
  if type(options) == 'table' then
    wanted = options.iterator
  end
  if wanted == nil then
    return #key == 0 and search.ALL or search.EQ
  elseif type(wanted) == 'number' then
    views.check_iterator(wanted)
    return wanted
  end
  local found = type(wanted) == 'string' and search[wanted:upper()]
  if type(found) ~= 'number' then
    error(errors.client('ITERATOR_TYPE', tostring(wanted)))
  end
  return found
end

local function count_of(options, name, default)
  local value = type(options) == 'table' and options[name] or nil
  if value == nil then
    return default
  end
  local number = type(value) ~= 'string' and tonumber(value)
  if not number then
    error(errors.client('ILLEGAL_PARAMS',
      ("options parameter '%s' should be of type number"):format(name)))
  end
  return number < 0 and huge or floor(number)
end

-- Rows ------------------------------------------------------------------------------------

local function read(found, key, options)
  key = key_of(key)
  return views.read(found.space, found.index, iterator_of(options, key), key,
    count_of(options, 'offset', 0), count_of(options, 'limit', huge))
end

-- A row as a tuple; no value when there is none.
local function tuple_of(found, row)
  if row == nil then
    return
  end
  return tuple.make(row, found.space.format)
end

local function tuples(found, key, options)
  local list = read(found, key, options)
  for place = 1, #list do
    list[place] = tuple_of(found, list[place])
  end
  return list
end

local function get(found, key)
  local index = found.space.indexes[found.index]
  if not index.unique then
    views.check_read(found.space)
    error(errors.client('MORE_THAN_ONE_TUPLE'))
  end
  key = key_of(key)
  if #key ~= #index.parts then
    views.check_read(found.space)
    error(errors.client('EXACT_MATCH', #index.parts, #key))
  end
  return tuple_of(found, read(found, key, search.EQ)[1])
end

-- The first row of an iterator, as min and max give it.
local function outermost(found, key, iterator)
  return tuple_of(found, read(found, key, {iterator = iterator, limit = 1})[1])
end

local function following(list, place)
  place = place + 1
  if list[place] ~= nil then
    return place, list[place]
  end
  return nil
end

-- Methods ---------------------------------------------------------------------------------

-- Methods of spaces and indexes, given what is behind the object.
local shared = {
  select = tuples,
  get = get,
  count = function(found, key, options) return #read(found, key, options) end,
  len = function(found) return #read(found, nil, nil) end,
  min = function(found, key) return outermost(found, key, search.EQ) end,
  max = function(found, key) return outermost(found, key, search.REQ) end,
  pairs = function(found, key, options) return following, tuples(found, key, options), 0 end,
  bsize = function() return 0 end,
  update = function(found, key, operations)
    if type(operations) ~= 'table' then
      error(errors.client('ILLEGAL_PARAMS', 'update operations must be a table'))
    end
    return tuple_of(found, views.update(found.space, key_of(key), operations, 1))
  end,
  delete = function(found) views.refuse(found.space, 'delete') end,
}

local function refusing(operation)
  return function(found)
    views.refuse(found.space, operation)
  end
end

local of_spaces = {
  insert = refusing('replace'),
  replace = refusing('replace'),
  put = refusing('replace'),
  upsert = refusing('upsert'),
  auto_increment = refusing('replace'),
  truncate = function(found)
    error(errors.client('TRUNCATE_SYSTEM_SPACE', found.space.name))
  end,
  drop = function(found)
    error(errors.client('LAST_DROP', found.space.name))
  end,
  format = function(found, ...)
    if select('#', ...) > 0 then
      error(errors.client('ALTER_SPACE', found.space.name, 'it is a system space'))
    end
    return tuple.make({found.space.format}, {})[1]
  end,
}

-- A table of methods for objects of one kind.
local function methods_of(kind, ...)
  local methods = {}
  for _, group in ipairs({...}) do
    for name, run in pairs(group) do
      methods[name] = function(object, ...)
        return run(behind_of(object, kind, name), ...)
      end
    end
  end
  return {__index = methods}
end

local space_mt = methods_of('space', shared, of_spaces)
local index_mt = methods_of('index', shared)

-- Objects ---------------------------------------------------------------------------------

local function make_index(space, index)
  local parts = {}
  for place, part in ipairs(index.parts) do
    parts[place] = {fieldno = part.field, type = part.type, is_nullable = false}
  end
  local object = {
    id = index.id, name = index.name, space_id = space.id, type = 'TREE', unique = index.unique,
    parts = parts,
  }
  behind[object] = {space = space, index = index.id}
  return setmetatable(object, index_mt)
end

local function make_space(space)
  local object = {
    id = space.id, name = space.name, engine = space.engine, field_count = space.field_count,
    temporary = space.flags.temporary == true, is_local = false, is_sync = false, enabled = true,
    index = {},
  }
  for number, index in pairs(space.indexes) do
    local made = make_index(space, index)
    object.index[number] = made
    object.index[index.name] = made
  end
  behind[object] = {space = space, index = 0}
  return setmetatable(object, space_mt)
end

local all = {}
for _, space in ipairs(spaces.list) do
  local object = make_space(space)
  all[space.id] = object
  all[space.name] = object
end

return all
