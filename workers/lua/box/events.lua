-- box.watch, box.watch_once, box.broadcast: values under keys, and who is told when one changes.
--
--   box.broadcast(key, value)    engine/events, seen by every worker
--   box.watch(key, func)         func(key, value) in a fiber of its own, now and after each change;
--                                while it runs nothing is told, what came meanwhile follows
--   box.watch_once(key)          the value at this moment
--
-- The fibers of a watcher run as the effective user of the code that made it.

local codec = require('beespace.engine.codec')
local encode = require('beespace.engine.encode')
local errors = require('beespace.box.error')
local events = require('beespace.engine.events')
local fibers = require('beespace.engine.fibers')
local log = require('log')
local state = require('beespace.engine.state')
local watch = require('beespace.engine.watch')

local error, pcall, select = error, pcall, select
local setmetatable, tostring, type = setmetatable, tostring, type
local cur, settings = state.cur, encode.settings
-- Keys that only the server sets begin so.
local SYSTEM, BALLOT = 'box.', 'internal.ballot'

local api = {}

local function bad_argument(number, name, expected, value)
  error(("bad argument #%d to '%s' (%s expected, got %s)"):format(number, name, expected,
    type(value)), 0)
end

-- A key as C functions of Lua take a text: a number is one too.
local function key_of(key, name)
  if type(key) == 'number' then
    return tostring(key)
  elseif type(key) ~= 'string' then
    bad_argument(1, name, 'string', key)
  end
  return key
end

local function value_of(packed)
  if packed ~= nil then
    return (codec.unpack(packed))
  end
  return nil
end

-- Watchers --------------------------------------------------------------------------------------

-- Subscriptions of engine/watch by their handle.
local watchers = setmetatable({}, {__mode = 'k'})

local handle_mt = {__index = {}, __tostring = function()
  return 'box.watcher'
end}

-- End a watcher; a call of its function that runs goes on.
function handle_mt.__index.unregister(handle)
  local watcher = watchers[handle]
  if watcher == nil then
    error('Use watcher:unregister() instead of watcher.unregister()', 0)
  elseif not watch.ignore(watcher) then
    error('Watcher is already unregistered', 0)
  end
end

local function call(func, watcher, packed)
  local ok, raised = pcall(func, watcher.key, value_of(packed))
  if not ok then
    log.error("watcher of '%s' failed: %s", watcher.key, errors.describe(raised))
  end
  watch.acknowledge(watcher)
end

-- Start a fiber as another user than that of the running code.
local function start_as(euid, ...)
  local before = cur.euid
  cur.euid = euid
  local record = fibers.start(...)
  cur.euid = before
  record.name = 'watcher'
end

-- Call func(key, value) soon and after every change of the key; a handle to end that.
function api.watch(...)
  local key, func = ...
  if select('#', ...) ~= 2 then
    error('Usage: box.watch(key, function)', 0)
  end
  key = key_of(key, 'watch')
  if type(func) ~= 'function' then
    bad_argument(2, 'watch', 'function', func)
  end
  local euid = cur.euid
  local handle = setmetatable({}, handle_mt)
  watchers[handle] = watch.listen(key, function(watcher, packed)
    start_as(euid, call, func, watcher, packed)
  end)
  return handle
end

-- The value of a key, nothing when it has none.
function api.watch_once(...)
  local key = ...
  if select('#', ...) ~= 1 then
    error('Usage: box.watch_once(key)', 0)
  end
  local id = cur.id ~= 0 and cur.id or nil
  local packed = watch.value(key_of(key, 'watch_once'), cur.fd, id)
  if packed ~= nil then
    return value_of(packed)
  end
end

-- Broadcast -------------------------------------------------------------------------------------

-- A value for all, whatever this client understands of error objects.
local function pack(value)
  local error_ext = settings.error_ext
  settings.error_ext = 0
  local ok, packed = pcall(codec.pack, value)
  settings.error_ext = error_ext
  if not ok then
    error(packed, 0)
  end
  return packed
end

-- Set the value of a key and tell everybody who watches it; nil takes the value away.
function api.broadcast(...)
  local count = select('#', ...)
  local key, value = ...
  if count ~= 1 and count ~= 2 then
    error('Usage: box.broadcast(key[, value])', 0)
  end
  key = key_of(key, 'broadcast')
  if key:sub(1, #SYSTEM) == SYSTEM or key == BALLOT then
    error("System event can't be override", 0)
  end
  local ok, why = events.put(key, value ~= nil and pack(value) or nil)
  if not ok then
    error(why, 0)
  end
end

return api
