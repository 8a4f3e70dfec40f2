-- The coroutine library as applications see it: a fiber may wait inside a coroutine of theirs.
--
-- engine/main replaces the functions that switch, and those that tell what can be switched. A wait
-- inside an application's coroutine passes through its resumers up to the scheduler, and back down
-- when the fiber goes on; meanwhile no other fiber can resume that coroutine. Yielding where no
-- coroutine of the application's own runs is an error, since nobody would resume, and so is
-- yielding out of a function that runs with the rights of another user.

local fibers = require('beespace.engine.fibers')
local pool = require('beespace.engine.pool')
local state = require('beespace.engine.state')

local create, raw_resume, raw_yield = coroutine.create, coroutine.resume, coroutine.yield
local running, yieldable, raw_status =
  coroutine.running, coroutine.isyieldable, coroutine.status
local getinfo = debug.getinfo
local error, setfenv, setmetatable = error, setfenv, setmetatable
local tonumber, type = tonumber, type
local select, WAIT = select, fibers.WAIT
local COROUTINE = 'coroutine expected'
local cur = state.cur

-- How many user.as() were around those who resumed a coroutine last.
local depths = setmetatable({}, {__mode = 'k'})
-- Coroutines of the application in which a fiber waits.
local waiting = setmetatable({}, {__mode = 'k'})

local coroutines = {}

-- Raise what LuaJIT says of the argument of the function that called this one.
local function bad_argument(what)
  error(("bad argument #1 to '%s' (%s)"):format(getinfo(2, 'n').name or '?', what), 3)
end

-- What a coroutine came back with; a wait is handed up, and the coroutine resumed after it.
local function settle(thread, ...)
  local ok, what = ...
  if not ok or what ~= WAIT then
    return ...
  elseif yieldable() then
    waiting[thread] = true
    local answer = raw_yield(WAIT)
    waiting[thread] = nil
    return settle(thread, raw_resume(thread, answer))
  end
  return settle(thread, raw_resume(thread, fibers.REFUSED))
end

function coroutines.resume(thread, ...)
  if type(thread) ~= 'thread' then
    bad_argument(COROUTINE)
  end
  if waiting[thread] or pool.is_own(thread) then
    return false, 'cannot resume running coroutine'
  end
  depths[thread] = cur.su
  return settle(thread, raw_resume(thread, ...))
end

-- A wrapped coroutine raises what it came back with.
local function unwrap(ok, ...)
  if ok then
    return ...
  end
  local raised = ...
  error(raised, type(raised) == 'string' and 2 or 0)
end

function coroutines.wrap(...)
  local main = ...
  if type(main) ~= 'function' then
    local got = select('#', ...) == 0 and 'no value' or type(main)
    bad_argument(('function expected, got %s'):format(got))
  end
  local thread = create(main)
  return function(...)
    return unwrap(coroutines.resume(thread, ...))
  end
end

function coroutines.yield(...)
  local thread = running()
  if thread ~= nil and pool.is_own(thread) then
    error(fibers.CANNOT_YIELD, 2)
  elseif cur.su ~= depths[thread] then
    -- Whoever resumed it would go on with the rights that are lent to the code here.
    error(fibers.CANNOT_YIELD, 2)
  end
  return raw_yield(...)
end

function coroutines.status(thread)
  if type(thread) ~= 'thread' then
    bad_argument(COROUTINE)
  end
  local status = raw_status(thread)
  if waiting[thread] or status == 'suspended' and pool.is_own(thread) then
    return 'normal'
  end
  return status
end

function coroutines.isyieldable()
  local thread = running()
  return thread ~= nil and not pool.is_own(thread) and yieldable()
end

-- setfenv() as applications see it. The environment of a coroutine, level 0, is that of a request
-- or fiber and ends with it: the coroutine is not used again. The loop must not go on in it either,
-- so the request waits a turn. All calls are tail calls: levels count from the caller.
local function set_environment(...)
  local target = ...
  local thread = running()
  if tonumber(target) ~= 0 or thread == nil or not pool.is_own(thread) then
    return setfenv(...)
  elseif type((select(2, ...))) == 'table' then
    pool.spoil(thread)
    if cur.id ~= 0 then
      fibers.suspend_quietly(0)
    end
  end
  return setfenv(...)
end

-- Replace the functions in the library's table, and the global that belongs to them.
function coroutines.install(library, globals)
  for name, replacement in pairs(coroutines) do
    if library[name] ~= nil then
      library[name] = replacement
    end
  end
  globals.setfenv = set_environment
end

return coroutines
