-- Locks in the segment that processes share, made by shm/locks.py.
--
-- Who changes what a lock protects calls lock(), changes it, and calls unlock(): no waiting and
-- nothing that can raise in between, or guarded() for what can. A holder may be killed: the next
-- one gets the lock all the same, so what a lock protects must be whole at every moment, or be
-- mended by who is told of the death.

local ffi = require('ffi')
local sys = require('beespace.engine.sys')

local C = sys.C
local error, pcall = error, pcall
local EBUSY, EDEADLK, EOWNERDEAD, ETIMEDOUT = 16, 35, 130, 110

-- Seconds somebody waits for a lock that is held for microseconds.
local LIMIT = 1

local locks = {
  -- Locks taken over from dead processes.
  inherited = 0,
}

local deadline = ffi.new('bee_timespec')

-- How the system answers when the lock is not free: it may become free, or be a dead process's.
local function wait_for(mutex)
  C.clock_gettime(sys.CLOCK_REALTIME, deadline)
  deadline.sec = deadline.sec + LIMIT
  return C.pthread_mutex_timedlock(mutex, deadline)
end

-- Take the lock `mutex` (a pointer into the segment), which errors call `name`. True when the
-- process that held it died meanwhile, or this one lost the lock by an error; raises when somebody
-- holds it for longer than LIMIT.
function locks.lock(mutex, name)
  local code = C.pthread_mutex_trylock(mutex)
  if code == EBUSY then
    code = wait_for(mutex)
  end
  if code == 0 then
    return false
  elseif code == EOWNERDEAD then
    C.pthread_mutex_consistent(mutex)
    locks.inherited = locks.inherited + 1
    return true
  elseif code == EDEADLK then
    return true
  elseif code == ETIMEDOUT then
    error(('the lock of %s was not free for %d s: its holder hangs'):format(name, LIMIT), 0)
  end
  error(('the lock of %s cannot be taken: error %d'):format(name, code), 0)
end

-- Give the lock back.
function locks.unlock(mutex)
  C.pthread_mutex_unlock(mutex)
end

local function leave(mutex, ok, ...)
  C.pthread_mutex_unlock(mutex)
  if not ok then
    error((...), 0)
  end
  return ...
end

-- What `change(...)` returns, called while the lock is held; its errors are raised when the lock is
-- free again.
function locks.guarded(mutex, name, change, ...)
  locks.lock(mutex, name)
  return leave(mutex, pcall(change, ...))
end

return locks
