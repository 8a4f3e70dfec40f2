-- box.session.on_connect, on_disconnect, on_auth, on_access_denied: functions that run when
-- something happens to a session.
--
--   on_x()                      the functions, newest first, which is the order they run in
--   on_x(f)                     set f, in front of all others; f itself is the result
--   on_x(new, old)              take old away, and set new
--   on_x(nil, old)              take old away
--   on_x(f, nil, name)          set f by name, in the place of what had this name
--   on_x(nil, nil, name)        take away what has this name
--   on_x{name =, func =}        the same two
--
-- Defines them, and box.session.reason(); engine/main loads this file. The lists are those of
-- engine/triggers, the same in every worker. What runs them: engine/visits (on_connect,
-- on_disconnect), engine/auth (on_auth), engine/access (on_access_denied).

local access = require('beespace.engine.access')
local arguments = require('beespace.engine.arguments')
local fibers = require('beespace.engine.fibers')
local session = require('beespace.box.session')
local shared = require('beespace.engine.table')
local state = require('beespace.engine.state')
local triggers = require('beespace.engine.triggers')

local error, ipairs, pairs, pcall = error, ipairs, pairs, pcall
local select, tonumber, type = select, tonumber, type
local callable = arguments.callable
local cur = state.cur
local ON_ACCESS_DENIED = 'box.session.on_access_denied'

local function set_or_delete(event, name, func)
  if type(name) ~= 'string' then
    error('name must be a string', 0)
  elseif callable(func) then
    triggers.set(event, func, name)
    return func
  elseif func ~= nil then
    error('func must be a callable object or nil', 0)
  end
  triggers.delete_named(event, name)
end

local function functions(event)
  local result = {}
  for index, each in ipairs(triggers.list(event)) do
    result[index] = each.func
  end
  return result
end

local function not_found()
  error('trigger reset: Trigger is not found', 0)
end

local function set_or_replace(event, new, old)
  if old == nil then
    triggers.set(event, new)
  elseif not triggers.replace(event, new, old) then
    not_found()
  end
  return new
end

local function optional(value)
  return value == nil or callable(value)
end

-- Whether the only argument is a table {name =, func =}.
local function names_a_trigger(value)
  return type(value) == 'table' and not callable(value)
    and (value.name ~= nil or value.func ~= nil)
end

-- The function of an event that applications call.
local function make(event)
  return function(...)
    local new, old, name = ...
    if select('#', ...) == 1 and names_a_trigger(new) then
      return set_or_delete(event, new.name, new.func)
    elseif not optional(new) or not optional(old) or name ~= nil and type(name) ~= 'string' then
      error('trigger reset: incorrect arguments', 0)
    elseif name ~= nil then
      return set_or_delete(event, name, new)
    elseif new ~= nil then
      return set_or_replace(event, new, old)
    elseif old == nil then
      return functions(event)
    elseif not triggers.delete(event, old) then
      not_found()
    end
  end
end

for _, name in ipairs({'on_connect', 'on_disconnect', 'on_auth', 'on_access_denied'}) do
  session[name] = make('box.session.' .. name)
end

-- In the fiber and with the rights of the code that was refused; what the functions themselves are
-- refused does not run them again.
function access.on_denied(right, object_type, object_name)
  if triggers.count(ON_ACCESS_DENIED) == 0 then
    return
  end
  local record = fibers.current()
  if record.denied then
    return
  end
  record.denied = true
  local ok, raised = pcall(triggers.run, ON_ACCESS_DENIED, right, object_type, object_name)
  record.denied = nil
  if not ok then
    error(raised, 0)
  end
end

-- Names of the reasons why a session ends.
local reasons = {}
for name, number in pairs(shared.reason) do
  reasons[number] = name:lower()
end

-- Why the current session has ended, as a word; nil while it has not.
function session.reason()
  local id = cur.id
  if id == 0 then
    return nil
  end
  local slot = shared.slots[id % shared.capacity]
  if slot.id ~= id then
    local lost = fibers.current().lost
    return lost and (reasons[lost.reason] or reasons[shared.reason.WORKER_DIED]) or nil
  end
  return reasons[tonumber(slot.reason)]
end

return session
