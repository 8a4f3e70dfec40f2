-- Reading the system spaces, and the refusal of everything that would change them.
--
-- Called by engine/handlers for SELECT and the requests that change data, and by box/space for
-- box.space. There are no data spaces. Order of checks: fields, known iterator, space, access,
-- index, key, iterator that the index has.
--
--   request or box.space -> read(): checks -> view_rows: sorted rows -> view_search -> rows

local access = require('beespace.engine.access')
local catalog = require('beespace.engine.catalog')
local const = require('beespace.engine.const')
local encode = require('beespace.engine.encode')
local errors = require('beespace.box.error')
local packet = require('beespace.engine.packet')
local reply = require('beespace.engine.reply')
local rows = require('beespace.engine.view_rows')
local search = require('beespace.engine.view_search')
local settings = require('beespace.engine.session_settings')
local spaces = require('beespace.engine.view_spaces')
local state = require('beespace.engine.state')

local keys, types = const.key, const.type
local error, tonumber, type = error, tonumber, type
local cur = state.cur
local LAST_ITERATOR = search.GT
local LAST_KNOWN_ITERATOR = 11
local SETTINGS = '_session_settings'

local views = {}

-- Raise unless the running code may do this to a space.
local function check_access(space, right)
  catalog.refresh()
  access.check(right, 'space', space.id, space.name)
end

-- The space with this number; raises when there is none.
function views.find(number)
  local found = spaces.by_id[tonumber(number)]
  if found == nil then
    error(errors.client('NO_SUCH_SPACE', ('%.0f'):format(tonumber(number))))
  end
  return found
end

-- Raise unless the running code may read a space.
function views.check_read(space)
  check_access(space, access.READ)
end

-- Raise unless the iterator is one that exists anywhere.
function views.check_iterator(iterator)
  if iterator > LAST_KNOWN_ITERATOR then
    error(errors.client('ILLEGAL_PARAMS', 'Invalid iterator type'))
  end
end

local function index_of(space, number)
  local index = space.indexes[number]
  if index == nil then
    error(errors.client('NO_SUCH_INDEX_ID', number, space.name))
  end
  return index
end

-- Rows of a space by index number, iterator and key, after all checks: a new list of rows that
-- nobody may change.
function views.read(space, number, iterator, key, offset, limit)
  views.check_read(space)
  local index = index_of(space, number)
  local checked = search.check_key(index.parts, key)
  if iterator > LAST_ITERATOR then
    error(errors.client('UNSUPPORTED_INDEX_FEATURE', index.name, 'TREE', space.base.name,
      space.base.engine, 'requested iterator type'))
  end
  return search.select(rows.sorted(space, index), index.parts, checked, iterator, offset, limit,
    rows.visible(space, cur.euid))
end

-- Changes ----------------------------------------------------------------------------------

-- What a change of a space without any data behind it is answered with.
local function refuse(space, operation)
  if space.base ~= space then
    error(errors.client('VIEW_IS_RO', space.name))
  end
  check_access(space, access.WRITE)
  if space.name == SETTINGS then
    error(errors.client('UNSUPPORTED', 'Session_settings space', operation .. '()'))
  end
  error(errors.client('UNSUPPORTED', 'beespace', ("changes of space '%s'"):format(space.name)))
end
views.refuse = refuse

-- The place of a field that an operation names, from 1; `base` is the number of the first field.
local function field_of(field, base)
  if field == 'name' then
    return 1
  elseif field == 'value' then
    return 2
  elseif type(field) == 'string' then
    error(errors.client('NO_SUCH_FIELD_NAME', field))
  end
  local number = tonumber(field)
  if number == nil then
    error(errors.client('ILLEGAL_PARAMS', 'field id must be a number'))
  end
  return number < 0 and number + 3 or number - base + 1
end

-- The value after an operation of UPDATE.
local function apply(operation, base)
  if type(operation) ~= 'table' then
    error(errors.client('ILLEGAL_PARAMS', 'update operation must be an array {op,..}'))
  elseif operation[1] ~= '=' then
    error(errors.client('UNSUPPORTED', 'Session_settings space',
      ("operation '%s'"):format(tostring(operation[1]))))
  end
  local place = field_of(operation[2], base)
  if place == 1 then
    error(errors.client('CANT_UPDATE_PRIMARY_KEY', 'primary', SETTINGS))
  elseif place == 3 then
    error(errors.client('EXACT_FIELD_COUNT', 3, 2))
  elseif place ~= 2 then
    error(errors.client('NO_SUCH_FIELD_NO', place))
  end
  return operation[3]
end

-- UPDATE; only settings of the session can be changed. The new row, nil when there is none with
-- this key. `base` is the number of the first field.
function views.update(space, key, operations, base)
  if space.name ~= SETTINGS then
    refuse(space, 'update')
  end
  check_access(space, access.WRITE)
  local index = space.indexes[0]
  if #key ~= #index.parts then
    error(errors.client('EXACT_MATCH', #index.parts, #key))
  end
  local name = search.check_key(index.parts, key)[1]
  local value = settings.get(name)
  if value == nil then
    return nil
  end
  for place = 1, #operations do
    value = apply(operations[place], base)
  end
  settings.set(name, value)
  return {name, value}
end

-- Requests ---------------------------------------------------------------------------------

-- The fields of a body p[at..e), which may be missing, but not without those named.
local function fields_of(p, at, e, ...)
  local fields = at < e and packet.fields(p, at, e, true) or {}
  for place = 1, select('#', ...) do
    local name = select(place, ...)
    if fields[keys[name]] == nil then
      packet.missing(name)
    end
  end
  return fields
end

-- Write rows as DATA at o+w; the end.
local function write(o, w, found)
  w = reply.data_head(o, w, #found)
  for place = 1, #found do
    w = encode.encode(o, w, found[place], 0)
  end
  return w
end

-- Answer a SELECT with the body p[at..e): DATA at o+w; its end.
function views.select(p, at, e, o, w)
  local fields = fields_of(p, at, e, 'SPACE_ID', 'LIMIT', 'KEY')
  local iterator = tonumber(fields[keys.ITERATOR] or search.EQ)
  views.check_iterator(iterator)
  local space = views.find(fields[keys.SPACE_ID])
  return write(o, w, views.read(space, tonumber(fields[keys.INDEX_ID] or 0), iterator,
    fields[keys.KEY], tonumber(fields[keys.OFFSET] or 0), tonumber(fields[keys.LIMIT])))
end

-- The requests that change data: what they are called, and the fields that they must have.
local changes = {
  [types.INSERT] = {'replace', 'SPACE_ID', 'TUPLE'},
  [types.REPLACE] = {'replace', 'SPACE_ID', 'TUPLE'},
  [types.UPDATE] = {'update', 'SPACE_ID', 'KEY', 'TUPLE'},
  [types.DELETE] = {'delete', 'SPACE_ID', 'KEY'},
  [types.UPSERT] = {'upsert', 'SPACE_ID', 'TUPLE', 'OPS'},
}

-- Answer a request that would change data: DATA at o+w; its end.
function views.change(code, p, at, e, o, w)
  local change = changes[tonumber(code)]
  local fields = fields_of(p, at, e, unpack(change, 2))
  local space = views.find(fields[keys.SPACE_ID])
  if tonumber(code) ~= types.UPDATE then
    refuse(space, change[1])
  end
  local row = views.update(space, fields[keys.KEY], fields[keys.TUPLE],
    tonumber(fields[keys.INDEX_BASE] or 0))
  return write(o, w, {row})
end

return views
