-- Clocks: require('clock'). Seconds as numbers, nanoseconds (the names with 64) as uint64 cdata.
--
--   time, realtime   seconds since 1970, follows changes of the system's clock
--   monotonic        seconds since some moment, never goes back
--   proc, thread     processor time of this worker and of its main thread
--   bench(f, ...)    {processor seconds, results of f(...)}

local ffi = require('ffi')
local sys = require('beespace.engine.sys')

local time = ffi.new('bee_timespec')
local uint64_t = ffi.typeof('uint64_t')

local clock = {}

local function define(name, which)
  clock[name] = function()
    return sys.clock(which)
  end
  clock[name .. '64'] = function()
    sys.C.clock_gettime(which, time)
    return ffi.cast(uint64_t, time.sec) * 1000000000ULL + ffi.cast(uint64_t, time.nsec)
  end
end

define('time', sys.CLOCK_REALTIME)
define('realtime', sys.CLOCK_REALTIME)
define('monotonic', sys.CLOCK_MONOTONIC)
define('proc', sys.CLOCK_PROCESS)
define('thread', sys.CLOCK_THREAD)

local function measured(start, ...)
  return {clock.proc() - start, ...}
end

-- Run f(...) once; the list of the processor seconds it took and its results. Its errors pass.
function clock.bench(f, ...)
  local mt = type(f) ~= 'function' and getmetatable(f)
  if mt ~= false and (type(mt) ~= 'table' or rawget(mt, '__call') == nil) then
    error(('attempt to call a %s value'):format(type(f)), 2)
  end
  return measured(clock.proc(), f(...))
end

return clock
