-- Settings that may change while a worker runs.
--
--   start                        order of the worker --> main.prepare --+
--   reload: supervisor --settings--> process.py --> engine/loop --------+--> apply() --> its users
--
-- Keys are those of the settings, dotted. Who has a setting of his own that can change adds the
-- function that takes it.

local access = require('beespace.engine.access')
local bridge = require('beespace.bridge')
local cfg = require('beespace.box.cfg')
local codec = require('beespace.engine.codec')
local failures = require('beespace.engine.failures')
local flight = require('beespace.engine.flight')
local idle = require('beespace.engine.idle')
local inbox = require('beespace.engine.inbox')
local interrupt = require('beespace.engine.interrupt')
local levels = require('beespace.engine.levels')
local lifetimes = require('beespace.engine.lifetimes')
local logins = require('beespace.engine.logins')
local memory = require('beespace.box.memory')
local output = require('beespace.engine.output')
local slow = require('beespace.engine.slow')
local stopping = require('beespace.engine.stopping')
local tallies = require('beespace.engine.tallies')
local turnstile = require('beespace.engine.turnstile')
local witness = require('beespace.engine.witness')

local pairs, pcall, tostring = pairs, pcall, tostring

local live = {}

-- A limit of sessions that are there already, too.
local function change(owner, field, value)
  owner[field] = value
  lifetimes.changed()
end

local takers = {
  ['iproto.net_msg_max'] = function(value)
    flight.limit = value
    cfg.show('net_msg_max', value)
  end,
  ['iproto.net_msg_max_per_worker'] = function(value) turnstile.limit = value end,
  ['limits.request_time'] = function(value) interrupt.limit_time(value) end,
  ['log.access'] = function(value) witness.set(value) end,
  ['log.format'] = function(value) cfg.show('log_format', value) end,
  ['log.level'] = function(value) levels.take(value) end,
  ['log.slow_request'] = function(value)
    slow.set(value)
    cfg.show('too_long_threshold', value)
  end,
  ['lua.memory'] = function(value)
    interrupt.limit_memory(value)
    memory.limit = value
  end,
  ['process.stop_timeout'] = function(value) stopping.timeout = value end,
  ['security.auth_delay'] = function(value) failures.delay = value end,
  ['security.auth_retries'] = function(value) failures.retries = value end,
  ['security.disable_guest'] = function(value) access.guest_disabled = value end,
  ['security.keep_sessions_on_password_change'] = function(value) logins.keep = value end,
  ['session.idle_timeout'] = function(value) change(idle, 'default', value) end,
  ['session.inbox_limit'] = function(value) inbox.limit = value end,
  ['session.limits.per_user'] = function(value) tallies.most = value end,
  ['session.login_timeout'] = function(value) change(lifetimes, 'login', value) end,
  ['session.max_age'] = function(value) change(lifetimes, 'age', value) end,
  ['session.max_age_jitter'] = function(value) change(lifetimes, 'jitter', value) end,
  ['session.output_limit'] = function(value) output.limit = value end,
  ['session.users'] = function(value)
    idle.take(value)
    lifetimes.changed()
  end,
}

-- Take values by key; what nobody here uses is left alone.
function live.apply(values)
  for key, value in pairs(values) do
    local take = takers[key]
    if take ~= nil then
      take(value)
    end
  end
end

-- The same with values as the supervisor sends them, MessagePack; what is wrong goes to the log.
function live.take(packed)
  local ok, problem = pcall(function() live.apply((codec.unpack(packed))) end)
  if not ok then
    bridge.log('error', 'settings could not be applied: ' .. tostring(problem))
  end
end

return live
