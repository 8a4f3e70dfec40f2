-- Requests that wait: how many a session has, which streams they keep busy, when they are over.
--
--   a request begins to wait   detached   counted; past the limit its session is not read any
--                                         more, past that of the worker none is (engine/turnstile)
--   it ends                    release    answered by engine/answer before; counted back
--
-- Requests that name the same stream run one after another: while one waits, later ones are kept as
-- bytes (gate), and each runs in a fiber of its own when its turn has come. With more than KEPT_MAX
-- bytes kept the session is not read either; they are given up when the client leaves. A session's
-- slot stays until its last request has ended, see engine/sessions.

local ffi = require('ffi')
local fibers = require('beespace.engine.fibers')
local input = require('beespace.engine.input')
local output = require('beespace.engine.output')
local sessions = require('beespace.engine.sessions')
local shared = require('beespace.engine.table')
local slow = require('beespace.engine.slow')
local state = require('beespace.engine.state')
local sys = require('beespace.engine.sys')
local turnstile = require('beespace.engine.turnstile')
local user = require('beespace.engine.user')

local next, pairs, pcall = next, pairs, pcall
local st, cur = state.st, state.cur
local KEEP = state.KEEP
local counted = turnstile.counted
local REQUESTS = sessions.REQUESTS
local CLOCK = sys.CLOCK_MONOTONIC_COARSE
local KEPT_MAX = 1024 * 1024

local flight = {
  -- Requests of one session that may wait; beyond it the session is not read.
  limit = 768,
  -- Requests of this worker that wait.
  total = 0,
  -- Whether the worker ends: what still waits for its stream is cancelled as soon as it begins.
  over = false,
  -- Called when one has ended; engine/stopping listens.
  released = function() end,
  -- Executes the packet input[i .. st.i); set by engine/request.
  execute = function(_) end,
  -- Answers a request that has waited with what was raised; set by engine/answer.
  fail = function(_) end,
}

-- Packets that wait for their stream, by session id and stream; a list while the stream is busy.
local streams = {}
-- Bytes of these packets, by session id.
local kept = {}
-- Packets of all sessions that wait for their stream.
local queued = 0

-- Sessions whose kept input can be read on.
local resumes = {}

-- Read on from what was kept of a session's input, in one of the next steps of the loop.
function flight.resume_later(fd)
  st.resumes = st.resumes + 1
  resumes[st.resumes] = fd
end

output.read_on = flight.resume_later

-- Start a batch from kept input, if a session is due.
function flight.resume_next()
  local count = st.resumes
  if count == 0 then
    return
  end
  st.resumes = count - 1
  local fd = resumes[count]
  local session = sessions.all[fd]
  if session.id ~= 0 and session.stopped == 0 and session.mode == REQUESTS
     and (st.full == 0 or not turnstile.hold(fd)) then
    input.resume(fd)
  end
end

local function keeps_more_than(id, most)
  local bytes = kept[id]
  return bytes ~= nil and bytes > most
end

local function publish(session)
  shared.slots[session.slot].in_flight = session.in_flight
end

-- One more or one fewer waits, of them `more` more for their stream.
local function count(one, more)
  local row = shared.row
  flight.total = flight.total + one
  queued = queued + more
  row.in_progress, row.queued = flight.total - queued, queued
end

-- One request more of the session that is being read waits; whether the session's slot stays for
-- it.
local function count_one(fd, more)
  local session = sessions.all[fd]
  count(1, more)
  if session.id ~= cur.id then
    -- The request lost its own client, by pushing too much for instance, before it began to wait.
    return false
  end
  session.in_flight = session.in_flight + 1
  publish(session)
  local stops = counted(fd, flight.total)
  if session.in_flight >= flight.limit or keeps_more_than(session.id, KEPT_MAX) then
    output.throttle(fd, true)
    stops = true
  end
  if stops and st.fd == fd then
    input.save(fd, st.i, st.have, 0)
    st.have = st.i
  end
  return true
end

function fibers.detached(record)
  slow.begin(record)
  if st.stream ~= 0 then
    record.stream = st.stream
    local busy = streams[cur.id]
    if busy == nil then
      busy = {}
      streams[cur.id] = busy
    end
    busy[st.stream] = {first = 1, last = 0}
    shared.row.streams = shared.row.streams + 1
  end
  record.homeless = not count_one(cur.fd, 0)
end

-- True when the packet input[i .. st.i) must wait for its stream; it is kept then.
function flight.gate(i)
  local busy = streams[cur.id]
  local queue = busy and busy[st.stream]
  local row = shared.row
  if queue == nil then
    row.streams_ever = row.streams_ever + 1
    return false
  end
  row.queued_ever = row.queued_ever + 1
  queue.last = queue.last + 1
  queue[queue.last] = ffi.string(state.input + i, st.i - i)
  kept[cur.id] = (kept[cur.id] or 0) + st.i - i
  count_one(cur.fd, 1)
  return true
end

-- Execute a packet of a stream whose turn has come.
local function run_queued(id, fd, stream, packet)
  local record = fibers.current()
  record.name, record.stream, record.session = 'main', stream, id
  record.cancelled = flight.over
  if fd >= 0 and sessions.all[fd].id ~= id then
    fd = -1
  end
  if fd < 0 then
    cur.id, cur.fd = id, fd
    flight.release()
    return
  end
  user.enter(fd)
  local length = #packet
  ffi.copy(state.input, packet, length)
  st.i = length
  slow.begin_queued(record, length)
  local ok, w = pcall(flight.execute, 0)
  if length > KEEP then
    sys.discard(state.input, KEEP, length)
  end
  if not ok then
    flight.fail(w)
  elseif w >= 0 then
    output.later(fd, state.output, w)
    flight.release()
  end
end

local function next_of_stream(id, fd, stream)
  local busy = streams[id]
  local queue = busy[stream]
  if queue.first > queue.last then
    busy[stream] = nil
    shared.row.streams = shared.row.streams - 1
    if next(busy) == nil then
      streams[id], kept[id] = nil, nil
    end
    return
  end
  local packet = queue[queue.first]
  queue[queue.first] = nil
  queue.first = queue.first + 1
  kept[id] = kept[id] - #packet
  count(0, -1)
  fibers.start(run_queued, id, fd, stream, packet)
end

-- A request of a session that is still there has ended.
local function count_off(session)
  session.in_flight = session.in_flight - 1
  publish(session)
  if session.in_flight == 0 then
    shared.slots[session.slot].last_request = sys.clock(CLOCK)
  end
end

-- The same for one that has waited: the session may be read again.
local function count_back(fd)
  local session = sessions.all[fd]
  count_off(session)
  if session.in_flight <= flight.limit / 2 and not keeps_more_than(session.id, KEPT_MAX / 2)
     and output.throttle(fd, false) then
    flight.resume_later(fd)
  end
end

-- The same when the session has no client any more.
local function count_off_left(id)
  local slot = shared.slots[id % shared.capacity]
  if slot.id == id and slot.in_flight > 0 then
    slot.in_flight = slot.in_flight - 1
  end
  sessions.forget(id)
end

-- Nobody is left to answer: the requests that are kept will not run, and need their bytes no more.
local left = sessions.left
function sessions.left(id)
  left(id)
  for _, queue in pairs(streams[id] or {}) do
    for index = queue.first, queue.last do
      queue[index] = ''
    end
  end
  kept[id] = kept[id] and 0
end

-- Work for the session on `fd` begins that is no request: until flight.ended() its slot stays, and
-- the end of the server waits.
function flight.began(fd)
  local session = sessions.all[fd]
  count(1, 0)
  session.in_flight = session.in_flight + 1
  publish(session)
end

-- It has ended; the session `id` was on `fd`.
function flight.ended(id, fd)
  local session = sessions.all[fd]
  if session.id == id then
    count_off(session)
  else
    count_off_left(id)
  end
  count(-1, 0)
  flight.released()
end

-- The running request, which has waited, is over.
function flight.release()
  local id, fd = cur.id, cur.fd
  local record = fibers.current()
  slow.over(record)
  if record.stream ~= nil then
    next_of_stream(id, fd, record.stream)
  end
  fibers.over(record)
  if sessions.has_client() then
    count_back(fd)
  elseif not record.homeless then
    count_off_left(id)
  end
  count(-1, 0)
  flight.released()
end

return flight
