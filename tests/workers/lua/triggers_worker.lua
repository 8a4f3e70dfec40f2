-- The triggers of one worker, for tests that have several: made by triggers_worker.py.

local address, cdef, facts, index = ...

local shared = require('beespace.engine.table')
shared.declare(cdef, facts)
shared.attach(address, index)
local triggers = require('beespace.engine.triggers')
local bus = require('beespace.engine.bus')
local nudges = 0
bus.broadcast = function() nudges = nudges + 1 end
bus.index = index
triggers.attach()
require('beespace.engine.landmarks').attach()

local globals = _G
local kept = {}

globals.trigger = triggers

-- A function that reports `name` when it is run; the same one each time.
function globals.f(name)
  kept[name] = kept[name] or function(seen)
    seen[#seen + 1] = name
  end
  return kept[name]
end

-- What runs for an event, as one text.
function globals.ran(event)
  local seen = {}
  triggers.run(event, seen)
  return table.concat(seen, ' ')
end

-- Names of an event's entries, as one text.
function globals.names(event)
  local list = {}
  for _, each in ipairs(triggers.list(event)) do
    list[#list + 1] = each.name
  end
  return table.concat(list, ' ')
end

function globals.nudged()
  local count = nudges
  nudges = 0
  return count
end
