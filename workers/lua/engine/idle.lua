-- How long sessions may be idle, by the name of their user: session.idle_timeout for all,
-- session.users.<name>.idle_timeout and box.internal.session for some.
--
-- engine/lifetimes asks when a session begins, when it has logged in and when the settings change.
-- A name needs no user: whoever has it later has its timeout.
--
--   settings, application file --> own
--   box.internal.session       --> events of the segment --of all workers--> by_name = own + events
--
-- So what was said at run time holds in workers that start later. Each event names the settings
-- that it was said to, and is void in a worker that has others: a change of session.users takes
-- its place.

local bridge = require('beespace.bridge')
local codec = require('beespace.engine.codec')
local catalog = require('beespace.engine.catalog')
local events = require('beespace.engine.events')

local pairs, pcall = pairs, pcall
local concat, sort = table.concat, table.sort
-- Keys of the events: one that moves with each of the others, one for names, one that drops all
-- that is older. Only the server sets keys that begin so.
local MARK = 'box.internal.session.idle_timeout'
local NAMES, RESET = MARK .. '.of.', MARK .. '.reset'

local idle = {
  -- Seconds for users without a timeout of their own, 0: no limit.
  default = 0,
}

-- Seconds by name: of the settings and the application's file, and with the events.
local own, by_name = {}, {}
-- Whether other workers are told of changes.
local shared = false
-- What tells these settings from others.
local stamp = ''
-- Version of MARK that by_name goes up to, and whether there may be a newer one.
local known, stale = 0, true

-- What an event says, nil when it was said to other settings.
local function said(packed)
  local ok, found = pcall(codec.unpack, packed)
  return ok and found[1] == stamp and found or nil
end

local function copy_of(map)
  local copy = {}
  for key, value in pairs(map) do
    copy[key] = value
  end
  return copy
end

-- Look at the events, if they have moved.
local function catch_up()
  local _, version = events.get(MARK)
  if version == known then
    return
  end
  local packed, dropped = events.get(RESET)
  local reset = packed ~= nil and said(packed) ~= nil
  local found = reset and {} or copy_of(own)
  events.each(NAMES, function(key, value, at)
    local list = said(value)
    if list ~= nil and not (reset and at < dropped) then
      found[key:sub(#NAMES + 1)] = list[2]
    end
  end)
  by_name, known = found, version
end

-- Seconds that a session of the user `uid` may be idle, 0: no limit.
function idle.of(uid)
  if stale or events.moved() then
    -- Without the lock of the events it is looked at again the next time.
    stale = not pcall(catch_up)
  end
  local user = catalog.principals[uid]
  return user ~= nil and by_name[user.name] or idle.default
end

events.listen(function(key)
  stale = stale or key == MARK
end)

-- by_name is what `own` says, and the events.
local function begin_anew()
  by_name, known, stale = copy_of(own), 0, true
end

local function stamp_of(timeouts)
  local lines = {}
  for name, seconds in pairs(timeouts) do
    lines[#lines + 1] = name .. '=' .. seconds
  end
  sort(lines)
  return (bridge.digest('md5', concat(lines, '\n')))
end

-- Take events away that were said to the settings there are now.
local function withdraw()
  local keys = {}
  events.each(MARK, function(key, value)
    if said(value) ~= nil then
      keys[#keys + 1] = key
    end
  end)
  for index = 1, #keys do
    events.put(keys[index], nil)
  end
end

-- The timeouts of the settings: {[name] = {idle_timeout =}}.
function idle.take(users)
  own = {}
  for name, each in pairs(users) do
    own[name] = each.idle_timeout
  end
  if shared then
    pcall(withdraw)
  end
  stamp = stamp_of(own)
  begin_anew()
end

local function put(key, ...)
  stale = true
  local ok, why = events.put(key, codec.pack({stamp, ...}))
  if not ok then
    return nil, why
  end
  return events.put(MARK, codec.pack({stamp}))
end

-- Give a name a timeout, or drop all when it is nil: in every worker, also in those to come. While
-- the application is loaded in this one only, since the others load it, too. True, or nil and why
-- there is no room for it.
function idle.set(name, seconds)
  if shared then
    return put(name == nil and RESET or NAMES .. name, seconds)
  elseif name == nil then
    own = {}
  else
    own[name] = seconds
  end
  begin_anew()
  return true
end

-- The application is loaded.
function idle.share()
  shared = true
end

return idle
