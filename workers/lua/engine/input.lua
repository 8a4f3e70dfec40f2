-- Receiving: one shared input buffer; a session keeps bytes of its own only between the pieces of a
-- packet.
--
--   short rest   exact malloc, copied back in front of the next receive
--   long rest    (or of a packet longer than one receive) collected in the session's own buffer,
--                which grows with what has really arrived, and copied to the shared buffer once the
--                packet is whole: however small the pieces, each byte is copied a few times only
--
-- The loop calls receive() for a readable session, save() with what it could not use;
-- engine/consoles calls read() for its own.

local held = require('beespace.engine.buffers')
local ffi = require('ffi')
local garbage = require('beespace.engine.garbage')
local sys = require('beespace.engine.sys')
local sessions = require('beespace.engine.sessions')
local shared = require('beespace.engine.table')
local state = require('beespace.engine.state')

local C = sys.C
local buffers_of, drop_empty = held.of, held.drop_empty
local copy = ffi.copy
local tonumber = tonumber
local RECEIVE = state.RECEIVE
local EAGAIN, EINTR = sys.EAGAIN, sys.EINTR
local DONTWAIT = sys.MSG_DONTWAIT
local CLOCK = sys.CLOCK_MONOTONIC_COARSE
local reasons = shared.reason
local st = state.st
-- Longest rest that is copied anew for each piece.
local SHORT_REST = 4096

local input = {}

-- Count what came from a client, in its slot and in the worker's row. The time is noted when the
-- batch is over, see engine/figures.
local function count(session, received)
  local slot, row = shared.slots[session.slot], shared.row
  slot.bytes_in = slot.bytes_in + received
  row.bytes_in = row.bytes_in + received
end

-- The same for bytes that begin no batch.
local function count_apart(session, received)
  count(session, received)
  shared.slots[session.slot].last_request = sys.clock(CLOCK)
end

-- Keep the bytes from `from` up to `to` of the shared buffer for the session; `need` as in the
-- state.
function input.save(fd, from, to, need)
  local session = sessions.all[fd]
  if session.id == 0 or to <= from then
    return
  end
  local buffers = buffers_of(session)
  local length = to - from
  local kept = C.malloc(length)
  if buffers == nil or kept == nil then
    C.free(kept)
    sessions.close(fd, reasons.ERROR)
    return
  end
  copy(kept, state.input + from, length)
  buffers.input = kept
  buffers.input_len = length
  buffers.input_cap = length
  buffers.need = need
end

local function forget(session, buffers)
  C.free(buffers.input)
  buffers.input = nil
  buffers.input_len, buffers.input_cap, buffers.need = 0, 0, 0
  drop_empty(session)
end

-- Move the kept bytes to the head of the shared buffer; how many there were.
local function restore(session)
  local buffers = session.buffers
  if buffers == nil or buffers.input == nil then
    return 0
  end
  local length = buffers.input_len
  copy(state.input, buffers.input, length)
  forget(session, buffers)
  return length
end

-- True when the connection is over: end of stream, or an error other than "nothing there now".
local function is_over(received)
  if received > 0 then
    return false
  elseif received == 0 then
    return true
  end
  local errno = ffi.errno()
  return errno ~= EAGAIN and errno ~= EINTR
end

-- Why a connection ends whose last read gave this.
local function reason_of(received)
  return received == 0 and reasons.CLIENT or reasons.ERROR
end

local function start_batch(fd, have)
  st.fd = fd
  st.i = 0
  st.have = have
end

-- True when the rest of a packet is collected where it is kept.
local function is_long(buffers)
  return buffers.need > RECEIVE or buffers.input_len > SHORT_REST and buffers.need ~= 0
end

-- Collect more of a packet; starts the batch once it is whole.
local function collect(fd, session, buffers)
  if buffers.input_cap - buffers.input_len < RECEIVE and buffers.input_cap < buffers.need then
    local cap = math.min(math.max(buffers.input_cap * 2, RECEIVE * 2), buffers.need)
    local grown = C.realloc(buffers.input, cap)
    if grown == nil then
      sessions.close(fd, reasons.ERROR)
      return
    end
    buffers.input = grown
    buffers.input_cap = cap
  end
  local room = math.min(buffers.input_cap, buffers.need) - buffers.input_len
  local received = tonumber(C.recv(fd, buffers.input + buffers.input_len, room, DONTWAIT))
  if is_over(received) then
    sessions.close(fd, reason_of(received))
  elseif received > 0 then
    count_apart(session, received)
    buffers.input_len = buffers.input_len + received
    if buffers.input_len == buffers.need then
      garbage.left(buffers.need)
      start_batch(fd, restore(session))
    end
  end
end

-- Read from a session's socket into the shared buffer and start a batch, or close the session.
function input.receive(fd)
  local session = sessions.all[fd]
  local kept = 0
  local buffers = session.buffers
  if buffers ~= nil then
    if is_long(buffers) then
      collect(fd, session, buffers)
      return
    end
    kept = restore(session)
  end
  local received = tonumber(C.recv(fd, state.input + kept, RECEIVE, DONTWAIT))
  if received > 0 then
    count(session, received)
    start_batch(fd, kept + received)
  elseif is_over(received) then
    sessions.close(fd, reason_of(received))
  else
    input.save(fd, 0, kept, 0)
  end
end

-- Receive into the shared buffer for a session whose input is no packets: how many bytes came, 0 at
-- the end of the stream, -1 when nothing is there or the session was closed for an error.
function input.read(fd)
  local received = tonumber(C.recv(fd, state.input, RECEIVE, DONTWAIT))
  if received > 0 then
    count_apart(sessions.all[fd], received)
  elseif received < 0 and is_over(received) then
    sessions.close(fd, reasons.ERROR)
  end
  return received
end

-- Throw away what a lingering session still sends; true at its end.
function input.drain(fd)
  return is_over(tonumber(C.recv(fd, state.input, RECEIVE, DONTWAIT + sys.MSG_TRUNC)))
end

-- Go on with input that was kept because the session was stopped.
function input.resume(fd)
  local session = sessions.all[fd]
  local kept = restore(session)
  if kept > 0 then
    start_batch(fd, kept)
  end
end

return input
