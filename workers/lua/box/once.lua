-- box.once(key, func, ...): func(...) runs once in the life of the catalog, and its results come
-- back then; for all others, and for ever after, nothing happens.
--
--   first      once(key, me) --> true, func(...), once_over(key, me)
--   later      once(key, me) --> who runs it: waits until that is over, or its worker is gone
--                            --> false: it is over
--
-- The key is kept before the function begins and stays whatever becomes of it: an error is raised
-- and not repeated, and a function whose worker died is not run again, which is logged. Whoever
-- comes while it runs waits for its end, so that its effect is there, but not longer than `limit`.
-- A function that asks for its own key again does not wait for itself.

local access = require('beespace.engine.access')
local bus = require('beespace.engine.bus')
local catalog = require('beespace.engine.catalog')
local errors = require('beespace.box.error')
local ffi = require('ffi')
local fibers = require('beespace.engine.fibers')
local log = require('log')
local options = require('beespace.box.schema_options')
local rights = require('beespace.box.schema_rights')
local shared = require('beespace.engine.table')
local state = require('beespace.engine.state')

local error, pcall, tonumber, type = error, pcall, tonumber, type
local st = state.st
local SCHEMA = 272
-- Seconds between two looks whether it is over.
local LOOK = 0.02

local once = {
  -- Seconds to wait for another worker.
  limit = 60,
}

-- Keys whose function this worker runs: the fiber that does.
local running = {}

-- This process among those of this server and others: no other one has the same text.
local function own_name()
  local server = ffi.string(shared.header.instance, 16):gsub('.', function(byte)
    return ('%02x'):format(byte:byte())
  end)
  return ('%s %d %d'):format(server, bus.index, shared.row.pid)
end

-- Whether the process of this name still runs the function.
local function goes_on(key, runner)
  if runner == own_name() then
    return running[key] ~= nil
  end
  local server, worker, pid = runner:match('^(%x+) (%d+) (%d+)$')
  return server ~= nil and server == own_name():match('^%x+')
    and shared.rows[tonumber(worker)].pid == tonumber(pid)
end

-- Wait until the catalog changes or the runner is gone.
local function wait(key, runner, generation, deadline)
  while st.generation[0] == generation and goes_on(key, runner) do
    if fibers.clock() > deadline then
      error(errors.client('TIMEOUT'))
    end
    fibers.suspend_quietly(LOOK, 4)
    fibers.check()
  end
end

local function over(key, ok, ...)
  running[key] = nil
  local changed, raised = pcall(catalog.change, 'once_over', key, own_name())
  if not changed then
    log.error('box.once(%q) has run, which cannot be noted: %s', key, errors.describe(raised))
  end
  if not ok then
    error((...), 0)
  end
  return ...
end

-- Who runs the function of this key, true when it is up to us, false when it is over.
local function ask(key)
  local answer = catalog.change('once', key, own_name())
  if type(answer) == 'string' and not goes_on(key, answer) then
    if catalog.change('once_over', key, answer) then
      log.warn('the worker that ran box.once(%q) ended meanwhile; it is not run again', key)
    end
    return false
  end
  return answer
end

-- See the head of this file.
function once.call(key, func, ...)
  if type(key) ~= 'string' or type(func) ~= 'function' then
    options.refuse('Usage: box.once(key, func, ...)')
  end
  rights.begin()
  access.check(access.READ + access.WRITE, 'space', SCHEMA, '_schema')
  local deadline = fibers.clock() + once.limit
  repeat
    local generation = st.generation[0]
    local answer = ask(key)
    if answer == true then
      running[key] = fibers.current()
      return over(key, pcall(func, ...))
    elseif answer == false or running[key] == fibers.current() then
      return
    end
    wait(key, answer, generation, deadline)
  until false
end

return once
