-- SELECT on the system views that connectors read, and the refusal of everything that would change
-- data.
--
-- Called by engine/handlers.lua. There are no data spaces: the views are empty, but a request on
-- them is checked like any other, so a client's mistake gets its usual error. Order of checks:
-- fields, known iterator, space, iterator that the index has, index, key.

local const = require('beespace.engine.const')
local errors = require('beespace.box.error')
local packet = require('beespace.engine.packet')
local reply = require('beespace.engine.reply')

local keys = const.key
local tonumber, type = tonumber, type
local LAST_ITERATOR = 6
local LAST_KNOWN_ITERATOR = 11

local function view(name, base, engine, indexes)
  return {name = name, base = base, engine = engine, indexes = indexes}
end

local function index(name, ...)
  return {name = name, parts = {...}}
end

-- By space id; `base` is the space behind the view, as error texts name it.
local known = {
  [277] = view('_vcollation', '_collation', 'memtx', {
    [0] = index('primary', 'unsigned'),
    [1] = index('name', 'string'),
  }),
  [281] = view('_vspace', '_space', 'memtx', {
    [0] = index('primary', 'unsigned'),
    [1] = index('owner', 'unsigned'),
    [2] = index('name', 'string'),
  }),
  [289] = view('_vindex', '_index', 'memtx', {
    [0] = index('primary', 'unsigned', 'unsigned'),
    [2] = index('name', 'unsigned', 'string'),
  }),
}

local views = {}

local function find(space)
  local found = known[tonumber(space)]
  if found == nil then
    error(errors.client('NO_SUCH_SPACE', ('%.0f'):format(tonumber(space))))
  end
  return found
end

local function check_iterator(found, iterator)
  if iterator > LAST_ITERATOR then
    error(errors.client('UNSUPPORTED_INDEX_FEATURE', found.indexes[0].name, 'TREE', found.base,
      found.engine, 'requested iterator type'))
  end
end

local function matches(value, part)
  if part == 'string' then
    return type(value) == 'string'
  end
  local number = tonumber(value)
  return type(value) ~= 'string' and number ~= nil and number >= 0 and number % 1 == 0
end

local function check_key(parts, key)
  if #key > #parts then
    error(errors.client('KEY_PART_COUNT', #parts, #key))
  end
  for position = 1, #key do
    if not matches(key[position], parts[position]) then
      error(errors.client('KEY_PART_TYPE', position - 1, parts[position]))
    end
  end
end

-- The fields of a body p[at..e), which may be missing, but not without a space.
local function fields_of(p, at, e)
  local fields = at < e and packet.fields(p, at, e, true) or {}
  if fields[keys.SPACE_ID] == nil then
    packet.missing('SPACE_ID')
  end
  return fields
end

-- Answer a SELECT with the body p[at..e): DATA at o+w; its end.
function views.select(p, at, e, o, w)
  local fields = fields_of(p, at, e)
  if fields[keys.LIMIT] == nil then
    packet.missing('LIMIT')
  elseif fields[keys.KEY] == nil then
    packet.missing('KEY')
  end
  local iterator = tonumber(fields[keys.ITERATOR] or 0)
  if iterator > LAST_KNOWN_ITERATOR then
    error(errors.client('ILLEGAL_PARAMS', 'Invalid iterator type'))
  end
  local found = find(fields[keys.SPACE_ID])
  check_iterator(found, iterator)
  local number = tonumber(fields[keys.INDEX_ID] or 0)
  local chosen = found.indexes[number]
  if chosen == nil then
    error(errors.client('NO_SUCH_INDEX_ID', number, found.name))
  end
  check_key(chosen.parts, fields[keys.KEY])
  return reply.data_head(o, w, 0)
end

-- Raise the error for a request that would change data.
function views.refuse_change(p, at, e)
  local space = fields_of(p, at, e)[keys.SPACE_ID]
  error(errors.client('VIEW_IS_RO', find(space).name))
end

return views
