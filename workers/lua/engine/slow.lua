-- Requests that take longer than log.slow_request: counted in the worker's row, named in the log.
--
--   one that waits      engine/flight --> begin(): when it began, what it asks for
--                       engine/flight --> over(): how long that is ago
--   one that does not   workers/slow.py sees from beside the loop that it runs for long
--                                     --> the box --> tick()
--   a statement         engine/consoles --> statement()
--
-- So a request that does not wait costs nothing. Time counts from when the worker came to it: what
-- it does before it waits for the first time belongs to it, and so does what other requests of the
-- same batch compute before that.

local ffi = require('ffi')
local asked = require('beespace.engine.asked')
local bridge = require('beespace.bridge')
local catalog = require('beespace.engine.catalog')
local shared = require('beespace.engine.table')
local state = require('beespace.engine.state')
local sys = require('beespace.engine.sys')

ffi.cdef [[
typedef struct {
  double session;     /* whose request it was */
  double seconds;     /* how long it ran */
  double batch;       /* the batch it came with, and where it ends there */
  int32_t i;
  int32_t uid;        /* user of the session */
  char peer[84];      /* its address, and what was asked for; both end with a zero */
  char request[100];
} bee_slow_t;

typedef struct {
  uint32_t put;       /* by the watchdog: how many it has put here, and had no room for */
  uint32_t missed;
  uint32_t taken;     /* by the loop: how many it has taken */
  bee_slow_t items[32];
} bee_slow_box_t;
]]

local max, tonumber, to_string = math.max, tonumber, ffi.string
local clock, CLOCK = sys.clock, sys.CLOCK_MONOTONIC_COARSE
local st, cur, FOREVER = state.st, state.cur, state.FOREVER
local PLACES = 32
-- Lines between two ticks.
local MOST = 5

local slow = {
  -- Seconds, FOREVER for none.
  limit = FOREVER,
}

local box = ffi.new('bee_slow_box_t')
local missed = 0
-- Lines since the last tick, and those that were not written.
local said, unsaid = 0, 0
-- Requests that began to wait after they had computed for so long that the watchdog may have seen
-- it, by batch and end; those of the tick before this one.
local suspects, older = {}, {}

-- Seconds, 0: none is slow.
function slow.set(seconds)
  slow.limit = seconds > 0 and seconds or FOREVER
end

local function report(id, uid, peer, request, seconds)
  shared.row.slow = shared.row.slow + 1
  if said >= MOST then
    unsaid = unsaid + 1
    return
  end
  said = said + 1
  local user = catalog.principals[uid]
  bridge.log_request('warn', 'slow request', id, user and user.name, peer, request, seconds)
end

local function name_of(number, i)
  return ('%d:%d'):format(number, i)
end

-- The request of the running session begins to wait.
function slow.begin(record)
  if slow.limit == FOREVER then
    return
  end
  local began, now = max(st.woke, st.mark), clock(CLOCK)
  st.mark = now
  record.began = began
  record.kind, record.text = asked.body(st.at, st.i)
  if now - began >= slow.limit / 2 then
    suspects[name_of(st.batch, st.i)] = true
  end
end

-- The packet input[0 .. length) has waited for its stream and is executed now.
function slow.begin_queued(record, length)
  if slow.limit ~= FOREVER then
    record.began = clock(CLOCK)
    record.kind, record.text = asked.packet(0, length)
  end
end

-- The running request, which has waited, is over.
function slow.over(record)
  local began = record.began
  if began and clock(CLOCK) - began >= slow.limit then
    report(cur.id, cur.uid, shared.peer(cur.id), asked.words(record.kind, record.text),
      clock(CLOCK) - began)
  end
end

-- The session's console has executed a statement, which began at `began`.
function slow.statement(line, began)
  local seconds = clock(CLOCK) - began
  if seconds >= slow.limit then
    report(cur.id, cur.uid, shared.peer(cur.id), 'console: ' .. state.short(line), seconds)
  end
end

-- When a statement begins, for statement().
function slow.now()
  return clock(CLOCK)
end

local function take(item)
  local name = name_of(item.batch, item.i)
  if suspects[name] or older[name] then
    -- It waits: over() has said so, or will.
    return
  end
  report(tonumber(item.session), item.uid, to_string(item.peer), to_string(item.request),
    tonumber(item.seconds))
end

-- Report what the watchdog has seen, and how many were not named; called now and then.
function slow.tick()
  if unsaid > 0 then
    bridge.log('warn', ('%d more slow requests'):format(unsaid))
  end
  said, unsaid = 0, 0
  while box.taken ~= box.put do
    take(box.items[box.taken % PLACES])
    box.taken = box.taken + 1
  end
  if box.missed ~= missed then
    shared.row.slow = shared.row.slow + (box.missed - missed)
    missed = box.missed
  end
  older, suspects = suspects, {}
end

-- Addresses for the watchdog: the box, and when the loop last woke, and last ended something.
function slow.places()
  local function address(pointer, offset)
    return tonumber(ffi.cast('uintptr_t', ffi.cast('void *', pointer))) + offset
  end
  return address(box, 0), address(st, ffi.offsetof('bee_state_t', 'woke')),
    address(st, ffi.offsetof('bee_state_t', 'mark'))
end

return slow
