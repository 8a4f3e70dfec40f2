-- How long sessions may be idle, by the name of their user: session.idle_timeout for all,
-- session.users.<name>.idle_timeout and box.internal.session for some.
--
-- engine/lifetimes asks when a session begins, when it has logged in and when the settings change.
-- A name needs no user: whoever has it later has its timeout.

local bus = require('beespace.engine.bus')
local catalog = require('beespace.engine.catalog')
local codec = require('beespace.engine.codec')

local pairs = pairs
local KIND = bus.KIND.IDLE_TIMEOUT

local idle = {
  -- Seconds for users without a timeout of their own, 0: no limit.
  default = 0,
}

-- Seconds by name.
local by_name = {}
-- Whether other workers are told of changes.
local shared = false

-- Seconds that a session of the user `uid` may be idle, 0: no limit.
function idle.of(uid)
  local user = catalog.principals[uid]
  return user ~= nil and by_name[user.name] or idle.default
end

-- The timeouts of the settings: {[name] = {idle_timeout =}}.
function idle.take(users)
  by_name = {}
  for name, each in pairs(users) do
    by_name[name] = each.idle_timeout
  end
end

-- Give a name a timeout in this worker, or drop all when it is nil.
local function change(name, seconds)
  if name == nil then
    by_name = {}
  else
    by_name[name] = seconds
  end
end

-- The same in every worker that runs; while the application is loaded in this one only, since the
-- others load it, too.
function idle.set(name, seconds)
  change(name, seconds)
  if shared then
    bus.broadcast(KIND, name ~= nil and codec.pack({name, seconds}) or '')
  end
end

-- The application is loaded.
function idle.share()
  shared = true
end

bus.on(KIND, function(payload)
  if payload == '' then
    change(nil)
  else
    local list = codec.unpack(payload)
    change(list[1], list[2])
  end
end)

return idle
