-- The settings that every session has: names, defaults, and the values of this worker's sessions.
--
-- box/settings shows them as box.session.settings, engine/view_rows as the rows of
-- _session_settings. Only error_marshaling_enabled does anything here: error objects among the
-- values of an answer are sent as objects, as if the client had asked for it with ID. The others
-- speak of SQL, which there is none of; clients and libraries that set them find them.

local encode = require('beespace.engine.encode')
local errors = require('beespace.box.error')
local fibers = require('beespace.engine.fibers')
local sessions = require('beespace.engine.sessions')
local state = require('beespace.engine.state')

local error, pairs, type = error, pairs, type
local cur = state.cur

local defaults = {
  error_marshaling_enabled = false,
  sql_default_engine = 'memtx',
  sql_defer_foreign_keys = false,
  sql_full_column_names = false,
  sql_full_metadata = false,
  sql_parser_debug = false,
  sql_recursive_triggers = true,
  sql_reverse_unordered_selects = false,
  sql_select_debug = false,
  sql_seq_scan = true,
  sql_vdbe_debug = false,
}

local ENGINES = {memtx = true, vinyl = true}

local settings = {
  -- All names, in order.
  names = {},
}

for name in pairs(defaults) do
  settings.names[#settings.names + 1] = name
end
table.sort(settings.names)

-- Changed values by session id; background code keeps them with its fiber.
local changed = {}

-- The changed values of the running code's session; nil when there are none, unless `make`.
local function values(make)
  local id = cur.id
  local owner, key = changed, id
  if id == 0 then
    owner, key = fibers.current(), 'session_settings'
  end
  if owner[key] == nil and make then
    owner[key] = {}
  end
  return owner[key]
end

-- The value of a setting; nil for a name that is none.
function settings.get(name)
  local own = values(false)
  if own ~= nil and own[name] ~= nil then
    return own[name]
  end
  return defaults[name]
end

-- Let the client of the running code get error objects, or their texts.
local function send_errors(wanted)
  if sessions.has_client() then
    sessions.all[cur.fd].error_ext = wanted and 1 or 0
    encode.settings.error_ext = sessions.all[cur.fd].error_ext
  end
end

-- Set a setting that exists; raises when the value does not fit.
function settings.set(name, value)
  local wanted = type(defaults[name])
  if type(value) ~= wanted then
    error(errors.client('SESSION_SETTING_INVALID_VALUE', name, wanted))
  elseif wanted == 'string' and not ENGINES[value] then
    error(errors.client('NO_SUCH_ENGINE', value))
  end
  values(true)[name] = value
  if name == 'error_marshaling_enabled' then
    send_errors(value)
  end
end

-- Drop the values of a session that ended.
function settings.forget(id)
  if changed[id] ~= nil then
    changed[id] = nil
  end
end

return settings
