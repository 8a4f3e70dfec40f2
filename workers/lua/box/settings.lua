-- box.session.settings: the settings of the current session, as a table.
--
-- It has no members of its own: reading and writing asks engine/session_settings, which knows whose
-- settings they are. As a value that is encoded or printed it is all of them.

local errors = require('beespace.box.error')
local settings = require('beespace.engine.session_settings')

local error, ipairs, setmetatable, tostring = error, ipairs, setmetatable, tostring

local mt = {}

local function text_of(name)
  return ("Session setting %s doesn't exist"):format(tostring(name))
end

function mt.__index(_, name)
  local value = settings.get(name)
  if value == nil then
    error(errors.client('PROC_LUA', text_of(name)))
  end
  return value
end

function mt.__newindex(_, name, value)
  if settings.get(name) == nil then
    error(errors.client('NO_SUCH_SESSION_SETTING', tostring(name)))
  end
  settings.set(name, value)
end

function mt.__serialize()
  local all = {}
  for _, name in ipairs(settings.names) do
    all[name] = settings.get(name)
  end
  return all
end

return setmetatable({}, mt)
