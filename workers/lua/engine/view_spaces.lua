-- The system spaces that can be read: names, formats and indexes, as facts.
--
-- Read by engine/view_rows (rows), engine/views (requests of clients) and box/space (box.space). A
-- view and the space behind it have the same rows; the view shows what its reader may see, the
-- space is for those who have rights on it. A space:
--
--   {id =, name =, engine =, field_count =, flags =, format = {{name =, type =}...},
--    base = the space behind a view, or itself,
--    indexes = {[0] = {id =, name =, unique =, parts = {{field =, type =}...}}...}}
--
-- Fields are counted from 1.

local decode = require('beespace.engine.decode')

local gmatch, match = string.gmatch, string.match
local pairs, setmetatable, tonumber = pairs, setmetatable, tonumber

local spaces = {
  -- All of them, by id and by name, and in the order of their ids.
  by_id = {},
  by_name = {},
  list = {},
}

-- Fields of a format are sent in this order, as connectors know it.
local field_mt = {__serialize = 'map', __keys = {'name', 'type'}}

-- 'id unsigned, name string' as a format.
local function format_of(text)
  local format = {}
  for name, kind in gmatch(text, '([%w_]+) (%a+)') do
    format[#format + 1] = setmetatable({name = name, type = kind}, field_mt)
  end
  return setmetatable(format, decode.seq_mt)
end

-- 'owner 2 many' as an index: name, numbers of its fields, and `many` when it is not unique.
local function index_of(number, text, format)
  local index = {id = number, name = match(text, '%S+'), unique = not match(text, ' many$')}
  local parts = {}
  for field in gmatch(text, ' (%d+)') do
    parts[#parts + 1] = {field = tonumber(field), type = format[tonumber(field)].type}
  end
  index.parts = parts
  return index
end

local function add(space)
  spaces.by_id[space.id] = space
  spaces.by_name[space.name] = space
  spaces.list[#spaces.list + 1] = space
  return space
end

local function define(id, name, engine, fields, indexes)
  local format = format_of(fields)
  local space = {
    id = id, name = name, engine = engine, field_count = 0, flags = {}, format = format,
    indexes = {},
  }
  for number, text in pairs(indexes) do
    space.indexes[number] = index_of(number, text, format)
  end
  space.base = space
  return add(space)
end

-- A view of a space: the same format and indexes.
local function define_view(id, name, base)
  add({
    id = id, name = name, engine = 'sysview', field_count = 0, flags = {}, format = base.format,
    indexes = base.indexes, base = base,
  })
end

-- Index 0 is the primary one; most spaces of named objects have the same three.
local OWNED = {[0] = 'primary 1', 'owner 2 many', 'name 3'}

define(272, '_schema', 'memtx', 'key string, value any', {[0] = 'primary 1'})
define_view(277, '_vcollation', define(276, '_collation', 'memtx',
  'id unsigned, name string, owner unsigned, type string, locale string, opts map',
  {[0] = 'primary 1', 'name 2'}))
define_view(281, '_vspace', define(280, '_space', 'memtx',
  'id unsigned, owner unsigned, name string, engine string, field_count unsigned, flags map, '
  .. 'format array', OWNED))
define_view(286, '_vsequence', define(284, '_sequence', 'memtx',
  'id unsigned, owner unsigned, name string, step integer, min integer, max integer, '
  .. 'start integer, cache integer, cycle boolean', OWNED))
define_view(289, '_vindex', define(288, '_index', 'memtx',
  'id unsigned, iid unsigned, name string, type string, opts map, parts array',
  {[0] = 'primary 1 2', [2] = 'name 1 3'}))
define_view(297, '_vfunc', define(296, '_func', 'memtx',
  'id unsigned, owner unsigned, name string, setuid unsigned, language string, body string, '
  .. 'routine_type string, param_list array, returns string, aggregate string, '
  .. 'sql_data_access string, is_deterministic boolean, is_sandboxed boolean, '
  .. 'is_null_call boolean, exports array, opts map, comment string, created string, '
  .. 'last_altered string, trigger array', OWNED))
define_view(305, '_vuser', define(304, '_user', 'memtx',
  'id unsigned, owner unsigned, name string, type string, auth map, auth_history array, '
  .. 'last_modified unsigned, opts map', OWNED))
define_view(313, '_vpriv', define(312, '_priv', 'memtx',
  'grantor unsigned, grantee unsigned, object_type string, object_id scalar, privilege unsigned, '
  .. 'opts map', {[0] = 'primary 2 3 4', 'owner 1 many', 'object 3 4 many'}))
define(320, '_cluster', 'memtx', 'id unsigned, uuid string', {[0] = 'primary 1', 'uuid 2'})
define(330, '_truncate', 'memtx', 'id unsigned, count unsigned', {[0] = 'primary 1'})
define_view(341, '_vspace_sequence', define(340, '_space_sequence', 'memtx',
  'id unsigned, sequence_id unsigned, is_generated boolean, field unsigned, path string',
  {[0] = 'primary 1', 'sequence 2 many'}))
local settings = define(380, '_session_settings', 'service', 'name string, value any',
  {[0] = 'primary 1'})
settings.field_count = 2
settings.flags = {temporary = true}
setmetatable(spaces.by_name._schema.format[2], nil).is_nullable = true
setmetatable(spaces.by_name._schema.format[2], decode.map_mt)

for _, space in pairs(spaces.list) do
  setmetatable(space.flags, decode.map_mt)
end
table.sort(spaces.list, function(a, b) return a.id < b.id end)

return spaces
