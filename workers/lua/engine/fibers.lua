-- The scheduler: which fiber runs, which wait, who owns the loop.
--
--   drive()  main thread          coroutines from a pool
--     | resume -----------------> owner: the loop (own), executes requests inline
--     |   <-- WAIT -------------- a request waits: it keeps this coroutine, another one takes
--     |                           the loop over and goes on with the same batch
--     |   <-- IDLE -------------- no batch is open and fibers are ready: run them
--     |   <-- DONE -------------- the loop shall stop
--     | resume -----------------> a fiber that is ready, until it waits (WAIT) or ends (DONE)
--
-- A request that does not wait costs nothing here: it has no record and no switch. A record
-- (engine/fiber_records) stands for one fiber; it is made for a request when somebody asks for it,
-- at the latest when the request waits.
--
-- Fibers are resumed only between two batches, so that the loop's buffers are free. st.away tells
-- whose code runs: 0 the owner's, 1 that of a fiber which was switched to. What belongs to the code
-- that runs (session, sync, user, last error) is kept on its own stack while it waits.

local encode = require('beespace.engine.encode')
local errors = require('beespace.box.error')
local object_of = require('beespace.box.error_object')
local pool = require('beespace.engine.pool')
local records = require('beespace.engine.fiber_records')
local sessions = require('beespace.engine.sessions')
local state = require('beespace.engine.state')
local sys = require('beespace.engine.sys')
local timers = require('beespace.engine.timers')
local user = require('beespace.engine.user')

local resume, yield = coroutine.resume, coroutine.yield
local yieldable = coroutine.isyieldable
local ceil, min = math.ceil, math.min
local error, pcall, tostring, unpack = error, pcall, tostring, unpack
local last_error, set_last = object_of.last, object_of.set_last
local finish, retire = records.finish, records.retire
local st, cur = state.st, state.cur
local writing = encode.settings

local WAIT, IDLE, DONE = {}, {}, {}
-- What a wait is answered with where the code around it cannot be left.
local REFUSED = {}
local CANNOT_YIELD = 'attempt to yield across C-call boundary'
-- Fibers inside the first run of their creators; beyond this a new one runs in the next turn.
local MOST_NESTED = 40
-- Longest sleep while an application is loaded, milliseconds.
local SLEEP = 1000

local fibers = {
  WAIT = WAIT,
  IDLE = IDLE,
  REFUSED = REFUSED,
  CANNOT_YIELD = CANNOT_YIELD,
  -- The number of a fiber, and fibers that are alive by their numbers.
  id = records.id,
  by_id = records.by_id,
  -- Runs in a coroutine and owns the loop until it stops or is lost; set by engine/main.
  own = function() end,
  -- Called when the request that the owner executes begins to wait; engine/flight sets it.
  detached = function(_) end,
}

local owner
-- The fiber that was switched to, and the request that the owner executes.
local running, owned
local owned_batch, owned_at = -1, -1
-- The record that yields WAIT.
local waiting
-- What a coroutine that rested inside of the loop was resumed for.
local given
local nested = 0

local ready, first, last = {}, 1, 0

function fibers.clock()
  return sys.clock(sys.CLOCK_MONOTONIC)
end

-- Forget the record of a request that has ended without waiting; nobody tells when it does.
function fibers.tidy()
  if owned ~= nil and (owned_batch ~= st.batch or owned_at ~= st.i) then
    retire(owned)
    owned = nil
  end
end

-- The record of the running fiber; that of a request is made now.
function fibers.current()
  if st.away ~= 0 then
    return running
  end
  fibers.tidy()
  if owned == nil then
    owned = records.of_request()
    owned_batch, owned_at = st.batch, st.i
  end
  return owned
end

local function enqueue(record)
  record.status = 'ready'
  last = last + 1
  ready[last] = record
  st.ready = 1
end

-- A request that has waited is over.
function fibers.over(record)
  finish(record, true)
end

-- Coroutines -------------------------------------------------------------------------------------

local function work(record)
  local main, arguments = record.main, record.arguments
  record.main, record.arguments = nil, nil
  finish(record, pcall(main, unpack(arguments, 1, arguments.n)))
  record.thread = false
end

-- What a coroutine is for: a fiber's code, or the loop.
local function body(record)
  while true do
    if record ~= nil then
      work(record)
    else
      fibers.own()
    end
    record, given = given, nil
    if record == nil then
      record = yield(DONE)
    end
  end
end

-- The request whose coroutine owned the loop has waited and is over: give the coroutine back as it
-- stands, inside of the loop. True when it owns the loop again later; false when it has to leave
-- the loop, for a fiber's code. So what follows a wait is compiled: traces cannot leave the loop.
function fibers.rest()
  given = yield(DONE)
  return given == nil
end

-- An error of the scheduler's own code: it belongs to nobody's request.
local function broken(thread, raised)
  error(debug.traceback(thread, tostring(raised)), 0)
end

-- Run a fiber until it waits or ends. What belongs to the code that runs is then another's.
local function run(record)
  local thread, fresh = record.thread, nil
  if not thread then
    thread, fresh = pool.take(body), record
    record.thread = thread
    user.begin(record.euid)
    st.sync = 0
    set_last(nil)
  end
  running = record
  record.status = 'running'
  record.switches = record.switches + 1
  st.away, st.in_request, writing.asking = 1, 0, 0
  nested = nested + 1
  local ok, why = resume(thread, fresh)
  nested = nested - 1
  if not ok then
    broken(thread, why)
  elseif why == DONE then
    pool.give_back(thread)
  end
end

-- Let `go` run fibers, then restore what belongs to the code that runs now.
local function beside(go, what)
  local id, fd, uid, euid, su = cur.id, cur.fd, cur.uid, cur.euid, cur.su
  local sync, away, in_request, asking = st.sync, st.away, st.in_request, writing.asking
  local before, failure = running, last_error()
  go(what)
  running = before
  st.away, st.in_request, writing.asking = away, in_request, asking
  cur.id, cur.fd, cur.uid, cur.euid, cur.su, st.sync = id, fd, uid, euid, su, sync
  set_last(failure)
end

-- A fiber that runs `main` with the arguments in the next turn; its record.
function fibers.start(main, ...)
  local record = records.of_function(main, ...)
  enqueue(record)
  return record
end

-- The same, but it runs now, until it waits for the first time.
function fibers.create(main, ...)
  local record = records.of_function(main, ...)
  if nested < MOST_NESTED then
    beside(run, record)
  else
    enqueue(record)
  end
  return record
end

-- Waiting ----------------------------------------------------------------------------------------

-- Raise when this fiber was cancelled.
function fibers.check()
  if fibers.current().cancelled then
    error(errors.typed('FiberIsCancelled', 'fiber is cancelled'))
  end
end

-- Whether the running code can wait where it is.
function fibers.may_wait()
  return yieldable() and writing.asking == 0 and (st.away ~= 0 or st.in_request ~= 0)
end

-- Let the current fiber wait: true when it was woken, false when `seconds` are over (nil: never);
-- nil where nothing can wait.
function fibers.try_suspend(seconds)
  if not fibers.may_wait() then
    return nil
  end
  local record = fibers.current()
  local id, fd, uid, euid, su = cur.id, cur.fd, cur.uid, cur.euid, cur.su
  local sync, failure = st.sync, last_error()
  record.timed_out = false
  record.status = 'suspended'
  if seconds ~= nil then
    if seconds > 0 then
      timers.set(record, fibers.clock() + seconds)
    else
      record.timed_out = true
      enqueue(record)
    end
  end
  waiting = record
  local answer = yield(WAIT)
  record.status = 'running'
  if answer == REFUSED then
    timers.cancel(record)
    return nil
  end
  -- The client may have left, and its descriptor may be another's by now.
  if fd >= 0 and sessions.all[fd].id ~= id then
    fd, sync = -1, 0
  end
  cur.id, cur.fd, st.sync = id, fd, sync
  user.go_on(id, uid, euid, su)
  set_last(failure)
  return not record.timed_out
end

-- The same, but where nothing can wait it raises, naming the place of the function at `level`.
function fibers.suspend_quietly(seconds, level)
  local woken = fibers.try_suspend(seconds)
  if woken == nil then
    error(CANNOT_YIELD, level or 3)
  end
  return woken
end

-- The same, raising when the fiber is cancelled, before or meanwhile. One that was cancelled before
-- only lets others run, so code that ignores its cancellation does not keep the worker to itself.
function fibers.suspend(seconds, level)
  if fibers.current().cancelled then
    seconds = 0
  end
  local woken = fibers.suspend_quietly(seconds, level)
  fibers.check()
  return woken
end

-- Make a waiting fiber ready; nothing happens when it does not wait.
function fibers.wake(record)
  if record.status == 'suspended' then
    timers.cancel(record)
    enqueue(record)
  end
end

-- Ask a fiber to end: its wait, now or the next one, raises.
function fibers.cancel(record)
  if record.status ~= 'dead' then
    record.cancelled = true
    fibers.wake(record)
  end
end

-- Running ----------------------------------------------------------------------------------------

local function wake_due()
  if timers.count() == 0 then
    return
  end
  local now = fibers.clock()
  local record = timers.pop(now)
  while record ~= nil do
    record.timed_out = true
    enqueue(record)
    record = timers.pop(now)
  end
end

local function run_until(stop)
  while first <= stop do
    local record = ready[first]
    ready[first] = nil
    first = first + 1
    if record.status == 'ready' then
      st.switches = st.switches + 1
      run(record)
      st.switches = st.switches + 1
    end
  end
end

-- Run every fiber that is ready now; those they wake have their turn later.
function fibers.run_ready()
  wake_due()
  if first <= last then
    beside(run_until, last)
  end
  if first > last then
    first, last = 1, 0
    st.ready = 0
  end
end

-- Run the loop and the fibers until the loop stops.
function fibers.drive()
  repeat
    owner = owner or pool.take(body)
    st.away, running = 0, nil
    local ok, why = resume(owner)
    if not ok then
      broken(owner, why)
    elseif why == WAIT then
      local record = waiting
      record.thread = owner
      owner, owned = nil, nil
      records.id(record)
      st.in_request, cur.euid, cur.su = 0, cur.uid, 0
      st.switches = st.switches + 1
      fibers.detached(record)
    elseif why == IDLE then
      fibers.run_ready()
    end
  until why == DONE
  pool.give_back(owner)
  owner = nil
  fibers.run_ready()
end

-- Milliseconds until the next timer, or the next look after sessions; SLEEP at most.
function fibers.milliseconds()
  local left = (min(st.next_timer, st.next_sweep) - fibers.clock()) * 1000
  return left <= 0 and 0 or ceil(min(left, SLEEP))
end

-- Run fibers, without the loop, until this one has ended.
function fibers.settle(record)
  while record.status ~= 'dead' do
    if st.ready == 0 then
      sys.C.poll(nil, 0, fibers.milliseconds())
    end
    fibers.run_ready()
  end
end

return fibers
