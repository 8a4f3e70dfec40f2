-- The rows of the system spaces, and which of them a user may see (by engine/visibility).
--
-- Called by engine/views. Rows are arrays that nobody changes; they are made of the catalog when
-- they are first asked for, sorted by each index that is used, and kept until the catalog is
-- another one. Rows of the session's settings are made for each request.

local catalog = require('beespace.engine.catalog')
local decode = require('beespace.engine.decode')
local digest = require('digest')
local collations = require('beespace.engine.view_collations')
local search = require('beespace.engine.view_search')
local settings = require('beespace.engine.session_settings')
local spaces = require('beespace.engine.view_spaces')
local visibility = require('beespace.engine.visibility')

local ipairs, pairs, setmetatable = ipairs, pairs, setmetatable
local floor = math.floor
local map_mt = decode.map_mt

-- Owner of everything that is built in.
local ADMIN = 1
-- The last id that system spaces have.
local LAST_SYSTEM_ID = 511

local rows = {}

local function map(content)
  return setmetatable(content or {}, map_mt)
end

local makers = {}

function makers._schema()
  return {{'max_id', LAST_SYSTEM_ID}, {'version', 2, 11, 0}}
end

function makers._collation()
  return collations
end

function makers._space()
  local made = {}
  for place, space in ipairs(spaces.list) do
    made[place] = {space.id, ADMIN, space.name, space.engine, space.field_count, space.flags,
      space.format}
  end
  return made
end

local function packed_parts(index)
  local parts = {}
  for place, part in ipairs(index.parts) do
    parts[place] = {part.field - 1, part.type}
  end
  return parts
end

function makers._index()
  local made = {}
  for _, space in ipairs(spaces.list) do
    for number, index in pairs(space.indexes) do
      made[#made + 1] = {space.id, number, index.name, 'tree', map({unique = index.unique}),
        packed_parts(index)}
    end
  end
  return made
end

function makers._user()
  local made = {}
  for _, each in pairs(catalog.principals) do
    local auth = map()
    if each.hash ~= nil then
      auth = map({['chap-sha1'] = digest.base64_encode(each.hash)})
    end
    made[#made + 1] = {each.id, each.owner, each.name, each.kind, auth, {},
      floor(each.modified or 0), map()}
  end
  return made
end

function makers._priv()
  local made = {}
  for place, each in ipairs(catalog.privileges) do
    made[place] = {each.grantor, each.grantee, each.object_type, each.object_id, each.mask, map()}
  end
  return made
end

local function flag(value)
  return value == true
end

function makers._func()
  local made = {}
  for _, each in pairs(catalog.functions) do
    made[#made + 1] = {
      each.id, each.owner, each.name, each.setuid and each.setuid ~= 0 and 1 or 0,
      each.language or 'LUA', each.body or '', each.routine_type or 'function',
      each.param_list or {}, each.returns or 'any', each.aggregate or 'none',
      each.sql_data_access or 'none', flag(each.is_deterministic), flag(each.is_sandboxed),
      each.is_null_call ~= false, each.exports or {'LUA'}, map(each.opts), each.comment or '',
      each.created or '', each.last_altered or '', each.trigger or {},
    }
  end
  return made
end

function makers._session_settings()
  local made = {}
  for place, name in ipairs(settings.names) do
    made[place] = {name, settings.get(name)}
  end
  return made
end

local function none()
  return {}
end

-- Rows by name of their space, sorted rows by index, and the principals that they are made of.
local unsorted, kept, kept_for = {}, {}, nil

local function rows_of(space)
  local list = unsorted[space.name]
  if list == nil then
    list = (makers[space.name] or none)()
    unsorted[space.name] = list
  end
  return list
end

local function sorted(space, index)
  local list = {}
  for place, row in ipairs(rows_of(space)) do
    list[place] = row
  end
  search.sort(list, index.parts, space.indexes[0].parts)
  return list
end

-- The rows of a space or view in the order of one of its indexes.
function rows.sorted(space, index)
  if space.name == '_session_settings' then
    return makers._session_settings()
  elseif kept_for ~= catalog.principals then
    unsorted, kept, kept_for = {}, {}, catalog.principals
  end
  local found = kept[index]
  if found == nil then
    found = sorted(space.base, index)
    kept[index] = found
  end
  return found
end

-- What one may see of a view, beside those who may see all of it: filter(uid, row).
local filters = {}

function filters._vspace(uid, row)
  return visibility.space(uid, row[1])
end

filters._vindex = filters._vspace

function filters._vuser(uid, row)
  return visibility.principal(uid, row[1], row[2])
end

function filters._vfunc(uid, row)
  return visibility.func(uid, row[1], row[2])
end

function filters._vpriv(uid, row)
  return visibility.grant(uid, row[1], row[2])
end

local function everything()
  return true
end

-- A function that tells whether a user may see a row of a space.
function rows.visible(space, uid)
  local filter = filters[space.name]
  if filter == nil or visibility.everything(uid, space.base.id) then
    return everything
  end
  return function(row)
    return filter(uid, row)
  end
end

return rows
