-- box.internal: what Tarantool's own configuration uses, and tests written for it.
--
--   session.idle_timeout_set(name, seconds)   sessions that this user begins, or logs in to, from
--                                             now on may be idle for that long; 0: for ever
--   session.idle_timeout_reset()              no user has a timeout of its own any more
--
-- Both hold in all workers, also in those that start later, until session.users changes.

local errors = require('beespace.box.error')
local idle = require('beespace.engine.idle')

local error, select, type = error, select, type

local session = {}

local function refuse(why)
  error(errors.client('CFG', 'session_idle_timeout', why))
end

-- See the head of this file.
function session.idle_timeout_set(name, seconds)
  if type(name) ~= 'string' then
    refuse('user name must be a string')
  elseif type(seconds) ~= 'number' then
    refuse('timeout must be a number')
  elseif not (seconds >= 0) then
    refuse('timeout must be >= 0')
  end
  local ok, why = idle.set(name, seconds)
  if not ok then
    refuse(why)
  end
end

function session.idle_timeout_reset(...)
  if select('#', ...) > 0 then
    error('Usage: box.internal.session.idle_timeout_reset()', 0)
  end
  local ok, why = idle.set(nil)
  if not ok then
    error(why, 0)
  end
end

return {session = session}
