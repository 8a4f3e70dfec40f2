-- The triggers of any event: require('trigger').
--
--   trigger.set(event, name, f)   set f by name, in the place of what had this name; returns f
--   trigger.del(event, name)      take away what has this name; returns it
--   trigger.call(event, ...)      call the functions of an event, newest first; an error is raised
--                                 and stops the rest
--   trigger.info([event])         {[event] = {{name, f}, ...}} in the order they run in
--   trigger.pairs(event)          the same for a loop: for name, f in trigger.pairs(event) do
--
-- The lists are the same in every worker. The events of sessions are called box.session.on_connect
-- and so on, and their lists are those of box.session; an application may have events of its own.

local arguments = require('beespace.engine.arguments')
local triggers = require('beespace.engine.triggers')

local error, select, tostring, type = error, select, tostring, type

local trigger = {}

-- A text, or a number as one.
local function text(value, index)
  local kind = type(value)
  if kind ~= 'string' and kind ~= 'number' then
    error(("bad argument #%d to '?' (string expected, got %s)"):format(index, kind), 0)
  end
  return tostring(value)
end

local function expect(count, wanted, usage)
  if count ~= wanted then
    error('Usage: ' .. usage, 0)
  end
end

function trigger.set(...)
  expect(select('#', ...), 3, 'trigger.set(event, trigger, function)')
  local event, name, func = ...
  event, name = text(event, 1), text(name, 2)
  if not arguments.callable(func) then
    error(("bad argument #3 to '?' (callable expected, got %s)"):format(type(func)), 0)
  end
  triggers.set(event, func, name)
  return func
end

function trigger.del(...)
  expect(select('#', ...), 2, 'trigger.del(event, trigger)')
  local event, name = ...
  local found, func = triggers.delete_named(text(event, 1), text(name, 2))
  if found then
    return func
  end
end

function trigger.call(...)
  if select('#', ...) == 0 then
    error('Usage: trigger.call(event, [args...])', 0)
  end
  triggers.run(text((...), 1), select(2, ...))
end

local function info_of(event)
  local list = {}
  for index, each in ipairs(triggers.list(event)) do
    list[index] = {each.name, each.func}
  end
  return #list > 0 and list or nil
end

function trigger.info(...)
  if select('#', ...) > 1 then
    error('Usage: trigger.info([event])', 0)
  elseif select('#', ...) == 1 then
    local event = text((...), 1)
    return {[event] = info_of(event)}
  end
  local result = {}
  for _, event in ipairs(triggers.events()) do
    result[event] = info_of(event)
  end
  return result
end

function trigger.pairs(...)
  expect(select('#', ...), 1, 'trigger.pairs(event)')
  local list, index = triggers.list(text((...), 1)), 0
  return function()
    repeat
      index = index + 1
    until list[index] == nil or triggers.is_set(list[index].id)
    if list[index] ~= nil then
      return list[index].name, list[index].func
    end
  end
end

return trigger
