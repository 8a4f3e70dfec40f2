-- Sending: one shared output buffer, and a queue of a session's own only after a short send.
--
-- The loop flushes the shared buffer at the end of a batch or past SOFT_OUTPUT. What the socket
-- does not take goes into the session's queue, and EPOLLOUT drains it. Answers of requests that
-- waited, pushes and events are queued too (later), and sent together at the end of the turn. With
-- more than PENDING_MAX bytes waiting the session is not read any more, until half of that is
-- drained (back-pressure). That does not stop pushes, events, and requests that wait: when more is
-- to be queued behind `limit` bytes, the session is closed.

local bit = require('bit')
local held = require('beespace.engine.buffers')
local ffi = require('ffi')
local garbage = require('beespace.engine.garbage')
local sys = require('beespace.engine.sys')
local sessions = require('beespace.engine.sessions')
local shared = require('beespace.engine.table')
local state = require('beespace.engine.state')

local C = sys.C
local buffers_of, drop_empty = held.of, held.drop_empty
local band, bnot = bit.band, bit.bnot
local copy = ffi.copy
local tonumber = tonumber
local SEND_FLAGS = sys.MSG_DONTWAIT + sys.MSG_NOSIGNAL
local EAGAIN, EINTR = sys.EAGAIN, sys.EINTR
local reasons = shared.reason
local LINGERS = sessions.LINGERS
local st = state.st
local READ, WRITE = sys.EPOLLIN, sys.EPOLLOUT
local CLOCK = sys.CLOCK_MONOTONIC_COARSE
local PENDING_MAX = 1024 * 1024
local QUEUE_MAX = 0xffffffff

local OUTPUT, REQUESTS = sessions.STOPPED.OUTPUT, sessions.STOPPED.REQUESTS
local PARTING, HELD = sessions.STOPPED.PARTING, sessions.STOPPED.HELD
local ARRIVING = sessions.STOPPED.ARRIVING
-- How its queue is sent.
local WRITABLE, END_OF_TURN = 1, 2

local output = {
  PENDING_MAX = PENDING_MAX,
  -- Bytes that may wait when more is queued; one answer alone may be longer.
  limit = 64 * 1024 * 1024,
  -- Called with the id of a session that is closed for it, and the bytes that wait.
  overflowed = function(_, _) end,
  -- Called when a session that was not read may be read again; engine/flight sets it.
  read_on = function(_) end,
  -- Called when a session has read so much that no more than half of PENDING_MAX waits.
  relieved = function(_) end,
}

-- Sessions whose queues are sent at the end of the turn.
local unsent = {}

local function waiting(buffers)
  return buffers.output_len - buffers.output_at
end

-- Watch for what the session's state asks for.
local function rewatch(fd, session)
  local events = session.stopped == 0 and READ or 0
  if session.queued == WRITABLE then
    events = events + WRITE
  end
  sessions.watch(fd, events)
end

-- Say whether a reason not to read the session holds; true when it may be read again.
local function set_stopped(fd, session, reason, holds)
  local before = session.stopped
  local now = band(before, bnot(reason)) + (holds and reason or 0)
  if now ~= before then
    session.stopped = now
    rewatch(fd, session)
    if reason == OUTPUT and not holds then
      output.relieved(fd)
    end
  end
  return before ~= 0 and now == 0
end

-- Whether more than PENDING_MAX bytes wait for a session.
function output.is_full(fd)
  return band(sessions.all[fd].stopped, OUTPUT) ~= 0
end

-- Do not read a session while too many of its requests wait; true when it may be read again.
function output.throttle(fd, holds)
  return set_stopped(fd, sessions.all[fd], REQUESTS, holds)
end

-- The same while too many requests of the worker wait.
function output.hold(fd, holds)
  return set_stopped(fd, sessions.all[fd], HELD, holds)
end

-- Do not read a session any more: what runs for it may end.
function output.part(fd)
  set_stopped(fd, sessions.all[fd], PARTING, true)
end

-- Do not read a session, and send it nothing, until it is admitted: its greeting comes first.
function output.keep_out(fd)
  set_stopped(fd, sessions.all[fd], ARRIVING, true)
end

function output.admit(fd)
  local session = sessions.all[fd]
  shared.slots[session.slot].opened = sessions.hundredths()
  set_stopped(fd, session, ARRIVING, false)
  sessions.opened(fd)
end

-- Whether a session was not admitted yet.
function output.is_kept_out(fd)
  return sessions.all[fd].stopped >= ARRIVING
end

-- Room for `more` bytes at the end of a queue; false when the queue would grow too long, or when
-- there is no memory.
local function make_room(buffers, more)
  if buffers.output_len + more <= buffers.output_cap then
    return true
  end
  if buffers.output_at > 0 then
    local rest = waiting(buffers)
    C.memmove(buffers.output, buffers.output + buffers.output_at, rest)
    buffers.output_at = 0
    buffers.output_len = rest
  end
  local need = buffers.output_len + more
  if need <= buffers.output_cap then
    return true
  elseif need > QUEUE_MAX then
    return false
  end
  local cap = math.max(buffers.output_cap, 4096)
  while cap < need do
    cap = math.min(cap * 2, QUEUE_MAX)
  end
  local grown = C.realloc(buffers.output, cap)
  if grown == nil then
    return false
  end
  buffers.output = grown
  buffers.output_cap = cap
  return true
end

-- Close a session whose client does not read what it is sent.
local function give_up(fd, session, bytes)
  output.overflowed(session.id, bytes)
  sessions.close(fd, reasons.LIMIT)
end

-- Append bytes to the session's queue; false when they were too many and it was closed.
local function append(fd, session, from, length)
  local buffers = buffers_of(session)
  if buffers ~= nil and waiting(buffers) > output.limit then
    give_up(fd, session, waiting(buffers))
    return false
  elseif buffers == nil or not make_room(buffers, length) then
    sessions.close(fd, reasons.LIMIT)
    return false
  end
  copy(buffers.output + buffers.output_len, from, length)
  buffers.output_len = buffers.output_len + length
  local pending = waiting(buffers)
  shared.slots[session.slot].pending_out = pending
  if pending > PENDING_MAX then
    garbage.left(length)
    set_stopped(fd, session, OUTPUT, true)
  end
  return true
end

-- Append bytes that the socket would not take; the poll set drains the queue.
local function queue(fd, session, from, length)
  if append(fd, session, from, length) and session.queued == 0 then
    session.queued = WRITABLE
    rewatch(fd, session)
  end
end

-- Queue whole packets for a session, to be sent at the end of the turn. Nothing happens when there
-- is no session any more, or none yet.
function output.later(fd, from, length)
  local session = sessions.all[fd]
  if session.id == 0 or session.mode == LINGERS or session.stopped >= ARRIVING then
    return
  end
  local slot, row = shared.slots[session.slot], shared.row
  slot.bytes_out = slot.bytes_out + length
  row.bytes_out = row.bytes_out + length
  if append(fd, session, from, length) and session.queued == 0 then
    session.queued = END_OF_TURN
    st.unsent = st.unsent + 1
    unsent[st.unsent] = fd
  end
end

-- Send what the shared buffer holds to the session on `fd`: `length` bytes.
function output.flush(fd, length)
  local session = sessions.all[fd]
  if session.id == 0 then
    return
  end
  local slot, row = shared.slots[session.slot], shared.row
  slot.bytes_out = slot.bytes_out + length
  row.bytes_out = row.bytes_out + length
  local sent = 0
  if session.queued == 0 then
    sent = tonumber(C.send(fd, state.output, length, SEND_FLAGS))
    if sent == length then
      return
    end
    if sent < 0 then
      local errno = ffi.errno()
      if errno ~= EAGAIN and errno ~= EINTR then
        sessions.close(fd, reasons.ERROR)
        return
      end
      sent = 0
    end
  end
  queue(fd, session, state.output + sent, length - sent)
end

-- A lingering client has ended its direction: only what is queued for it is left to do. False when
-- nothing is.
function output.only_write(fd)
  local session = sessions.all[fd]
  if session.queued == 0 then
    return false
  end
  session.stopped = OUTPUT
  rewatch(fd, session)
  return true
end

-- The queue is empty.
local function drained(fd, session, buffers)
  C.free(buffers.output)
  buffers.output = nil
  buffers.output_at, buffers.output_len, buffers.output_cap = 0, 0, 0
  drop_empty(session)
  local watched = session.queued == WRITABLE
  session.queued = 0
  if session.mode == LINGERS then
    sessions.end_output(fd)
    return
  end
  if not set_stopped(fd, session, OUTPUT, false) and watched then
    rewatch(fd, session)
  end
end

-- Send of the queue what the socket takes.
local function drain(fd, session)
  local buffers = session.buffers
  local from = buffers.output + buffers.output_at
  local sent = tonumber(C.send(fd, from, waiting(buffers), SEND_FLAGS))
  if sent < 0 then
    local errno = ffi.errno()
    if errno ~= EAGAIN and errno ~= EINTR then
      sessions.close(fd, reasons.ERROR)
      return
    end
    sent = 0
  end
  buffers.output_at = buffers.output_at + sent
  local pending = waiting(buffers)
  shared.slots[session.slot].pending_out = pending
  if pending == 0 then
    drained(fd, session, buffers)
  elseif pending < PENDING_MAX / 2 then
    set_stopped(fd, session, OUTPUT, false)
  end
end

-- The socket takes bytes again: its client reads, which is no silence.
function output.writable(fd)
  local session = sessions.all[fd]
  if session.queued == WRITABLE then
    shared.slots[session.slot].last_request = sys.clock(CLOCK)
    drain(fd, session)
  end
end

-- Whether bytes wait for any client.
function output.waits()
  local found = false
  sessions.each(function(_, slot) found = found or slot.pending_out > 0 end)
  return found
end

-- Send what was queued for the end of the turn.
function output.send_unsent()
  local count = st.unsent
  st.unsent = 0
  for index = 1, count do
    local fd = unsent[index]
    local session = sessions.all[fd]
    if session.id ~= 0 and session.queued == END_OF_TURN then
      local stopped = session.stopped
      drain(fd, session)
      if stopped ~= 0 and session.stopped == 0 and session.id ~= 0 then
        output.read_on(fd)
      end
      if session.id ~= 0 and session.queued == END_OF_TURN then
        session.queued = WRITABLE
        rewatch(fd, session)
      end
    end
  end
end

return output
