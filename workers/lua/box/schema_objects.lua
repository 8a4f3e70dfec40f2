-- What rights can be granted on: types of objects, their names, and the rights that each has.
--
-- Called by box/schema_grants. An object is {type =, id = as the catalog has it, '' for all of a
-- type, key = and name = for operations of the catalog, own_name =, owner =}; `name` is what the
-- caller has written, `own_name` what the object is called.

local bit = require('bit')
local access = require('beespace.engine.access')
local catalog = require('beespace.engine.catalog')
local errors = require('beespace.box.error')
local options = require('beespace.box.schema_options')
local rights = require('beespace.box.schema_rights')
local spaces = require('beespace.engine.view_spaces')

local band, bnot, bor, lshift = bit.band, bit.bnot, bit.bor, bit.lshift
local error, ipairs, pairs, tonumber = error, ipairs, pairs, tonumber
local tostring, type = tostring, type
local ALL = ''
-- The mask of admin and super. Names of the first 13 rights are told of it.
local EVERYTHING, TOLD_OF_EVERYTHING = 4294967295, 13

-- Bits by name.
local bits = {}
for index, name in ipairs(access.NAMES) do
  bits[name:lower()] = lshift(1, index - 1)
end

-- The mask of names that are separated by anything but letters; 0 when one of them is unknown.
local function mask_of(names)
  local mask = 0
  for name in names:lower():gmatch('%a+') do
    if bits[name] == nil then
      return 0
    end
    mask = bor(mask, bits[name])
  end
  return mask
end


-- What can be granted on each type.
local allowed = {
  universe = lshift(1, #access.NAMES) - 1,
  space = mask_of('read write usage create drop alter reference trigger insert update delete'),
  sequence = mask_of('read write usage create alter drop'),
  ['function'] = mask_of('execute usage create drop'),
  role = mask_of('execute usage create drop'),
  user = mask_of('create alter drop'),
  lua_call = mask_of('execute usage'),
  lua_eval = mask_of('execute usage'),
  sql = mask_of('execute usage'),
  session = mask_of('read write'),
}

-- Spaces that have no rows here, and that rights may be granted on all the same.
local WITHOUT_ROWS = {
  _sequence_data = 285, _trigger = 328, _fk_constraint = 356, _ck_constraint = 364,
  _func_index = 372,
}
local names_without_rows = {}
for name, id in pairs(WITHOUT_ROWS) do
  names_without_rows[id] = name
end

local objects = {}

-- The mask of rights written as a text or as a number; raises unless all of them can be granted on
-- this type of objects.
function objects.mask(object_type, written)
  local may = allowed[object_type]
  if may == nil then
    error(errors.client('UNKNOWN_SCHEMA_OBJECT', tostring(object_type)))
  end
  local mask = type(written) == 'string' and mask_of(written) or written
  if type(mask) ~= 'number' or mask % 1 ~= 0 or mask <= 0 or mask > may
     or band(mask, bnot(may)) ~= 0 then
    error(errors.client('UNSUPPORTED_PRIV', object_type, tostring(written)))
  end
  return mask
end

-- The rights of a mask as a text.
function objects.rights(mask)
  local names = {}
  for index, name in ipairs(access.NAMES) do
    local told = mask ~= EVERYTHING or index <= TOLD_OF_EVERYTHING
    if told and band(mask, lshift(1, index - 1)) ~= 0 then
      names[#names + 1] = name:lower()
    end
  end
  return table.concat(names, ',')
end

local function space_of(named)
  local by_name = type(named) == 'string'
  local found = by_name and spaces.by_name[named] or spaces.by_id[tonumber(named)]
  if found ~= nil then
    return found.id, found.name
  end
  local id = by_name and WITHOUT_ROWS[named] or tonumber(named)
  if by_name and WITHOUT_ROWS[named] == nil or names_without_rows[id] == nil then
    error(errors.client('NO_SUCH_SPACE', tostring(named)))
  end
  return id, names_without_rows[id]
end

-- By type: id, own name and owner of what is named; raise when it is not there.
local finders = {}

function finders.space(named)
  return space_of(named)
end

function finders.sequence(named)
  error(errors.client('NO_SUCH_SEQUENCE', tostring(named)))
end

finders['function'] = function(named)
  local found = rights.func(named)
  if found == nil then
    error(errors.client('NO_SUCH_FUNCTION', tostring(named)))
  end
  return found.id, found.name, found.owner
end

for _, kind in ipairs({'user', 'role'}) do
  finders[kind] = function(named)
    local found = rights.need(kind, named)
    return found.id, found.name, found.owner
  end
end

function finders.lua_call(named)
  return tostring(named), tostring(named)
end

local function nameless(kind)
  return function()
    options.refuse("'%s' has no objects with names", kind)
  end
end

for _, kind in ipairs({'lua_eval', 'sql', 'session'}) do
  finders[kind] = nameless(kind)
end

-- The object of a known type; raises when it is not there or cannot be seen.
function objects.find(object_type, named)
  local kind = type(named)
  if named ~= nil and kind ~= 'string' and kind ~= 'number' then
    options.refuse('wrong object name type')
  end
  if object_type == 'universe' then
    return {type = 'universe', id = 0, name = '', own_name = '', owner = rights.NOBODYS}
  elseif named == nil or named == ALL then
    return {type = object_type, id = ALL, name = '', own_name = '', owner = rights.NOBODYS}
  end
  local id, own_name, owner = finders[object_type](named)
  return {
    type = object_type, id = id, key = id, name = tostring(named), own_name = own_name,
    owner = owner or rights.NOBODYS,
  }
end

-- The object of a row of privileges.
function objects.of(row)
  local kind, id = row.object_type, row.object_id
  local found, name = nil, tostring(id)
  if kind == 'user' or kind == 'role' then
    found = catalog.principals[id]
  elseif kind == 'function' then
    found = catalog.functions[id]
  elseif kind == 'space' then
    found = spaces.by_id[id]
    name = names_without_rows[id] or name
  elseif kind == 'universe' then
    name = ''
  end
  name = found ~= nil and found.name or name
  return {
    type = kind, id = id, key = id, name = name, own_name = name,
    owner = kind ~= 'space' and found ~= nil and found.owner or rights.NOBODYS,
  }
end

return objects
