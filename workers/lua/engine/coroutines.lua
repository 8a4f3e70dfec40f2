-- The coroutine library as applications see it: a fiber may wait inside a coroutine of theirs.
--
-- engine/main replaces the three functions that switch. A wait inside an application's coroutine
-- passes through its resumers up to the scheduler, and back down when the fiber goes on. Yielding
-- where no coroutine of the application's own runs is an error, since nobody would resume.

local fibers = require('beespace.engine.fibers')
local pool = require('beespace.engine.pool')

local create, raw_resume, raw_yield = coroutine.create, coroutine.resume, coroutine.yield
local running, yieldable = coroutine.running, coroutine.isyieldable
local error, type = error, type
local WAIT = fibers.WAIT

local coroutines = {}

-- What a coroutine came back with; a wait is handed up, and the coroutine resumed after it.
local function settle(thread, ...)
  local ok, what = ...
  if not ok or what ~= WAIT then
    return ...
  elseif yieldable() then
    return settle(thread, raw_resume(thread, raw_yield(WAIT)))
  end
  return settle(thread, raw_resume(thread, fibers.REFUSED))
end

function coroutines.resume(thread, ...)
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

function coroutines.wrap(main)
  local thread = create(main)
  return function(...)
    return unwrap(coroutines.resume(thread, ...))
  end
end

function coroutines.yield(...)
  local thread = running()
  if thread ~= nil and pool.is_own(thread) then
    error(fibers.CANNOT_YIELD, 2)
  end
  return raw_yield(...)
end

-- Replace the functions in the library's table.
function coroutines.install(library)
  library.resume, library.wrap, library.yield =
    coroutines.resume, coroutines.wrap, coroutines.yield
end

return coroutines
