-- Sending: one shared output buffer, and a queue of a session's own only after a short send.
--
-- The loop flushes the shared buffer at the end of a batch or past SOFT_OUTPUT. What the socket
-- does not take goes into the session's queue, and EPOLLOUT drains it. With more than PENDING_MAX
-- bytes waiting the session is not read any more, until half of that is drained (back-pressure).

local ffi = require('ffi')
local sys = require('beespace.engine.sys')
local sessions = require('beespace.engine.sessions')
local shared = require('beespace.engine.table')
local state = require('beespace.engine.state')

local C = sys.C
local copy = ffi.copy
local tonumber = tonumber
local SEND_FLAGS = sys.MSG_DONTWAIT + sys.MSG_NOSIGNAL
local EAGAIN, EINTR = sys.EAGAIN, sys.EINTR
local READ, WRITE = sys.EPOLLIN, sys.EPOLLOUT
local PENDING_MAX = 1024 * 1024
local QUEUE_MAX = 0xffffffff

local output = {PENDING_MAX = PENDING_MAX}

local function waiting(buffers)
  return buffers.output_len - buffers.output_at
end

-- Watch for what the session's state asks for.
local function rewatch(fd, session)
  local events = session.stopped == 0 and READ or 0
  if session.waits_writable ~= 0 then
    events = events + WRITE
  end
  sessions.watch(fd, events)
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

-- Append bytes to the session's queue and let the poll set drain it.
local function queue(fd, session, from, length)
  local buffers = sessions.buffers(session)
  if buffers == nil or not make_room(buffers, length) then
    sessions.close(fd)
    return
  end
  copy(buffers.output + buffers.output_len, from, length)
  buffers.output_len = buffers.output_len + length
  local pending = waiting(buffers)
  shared.slots[session.slot].pending_out = pending
  local stopped = pending > PENDING_MAX and 1 or 0
  if session.waits_writable == 0 or session.stopped ~= stopped then
    session.waits_writable = 1
    session.stopped = stopped
    rewatch(fd, session)
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
  if session.waits_writable == 0 then
    sent = tonumber(C.send(fd, state.output, length, SEND_FLAGS))
    if sent == length then
      return
    end
    if sent < 0 then
      local errno = ffi.errno()
      if errno ~= EAGAIN and errno ~= EINTR then
        sessions.close(fd)
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
  if session.waits_writable == 0 then
    return false
  end
  session.stopped = 1
  rewatch(fd, session)
  return true
end

-- The socket takes bytes again: drain the queue.
function output.writable(fd)
  local session = sessions.all[fd]
  local buffers = session.buffers
  if session.waits_writable == 0 or buffers == nil then
    return
  end
  local from = buffers.output + buffers.output_at
  local sent = tonumber(C.send(fd, from, waiting(buffers), SEND_FLAGS))
  if sent < 0 then
    local errno = ffi.errno()
    if errno ~= EAGAIN and errno ~= EINTR then
      sessions.close(fd)
    end
    return
  end
  buffers.output_at = buffers.output_at + sent
  local pending = waiting(buffers)
  shared.slots[session.slot].pending_out = pending
  if pending == 0 then
    C.free(buffers.output)
    buffers.output = nil
    buffers.output_at, buffers.output_len, buffers.output_cap = 0, 0, 0
    sessions.drop_empty_buffers(session)
    session.waits_writable, session.stopped = 0, 0
    if session.lingers ~= 0 then
      sessions.end_output(fd)
    end
    rewatch(fd, session)
  elseif session.stopped ~= 0 and pending < PENDING_MAX / 2 then
    session.stopped = 0
    rewatch(fd, session)
  end
end

return output
