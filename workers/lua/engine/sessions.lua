-- The sessions this worker holds: one 32-byte structure a descriptor, plus buffers only while
-- something waits in them.
--
-- intake opens sessions, the loop and output close them, input and output use the buffers. A
-- session exists for other workers by its slot in the shared table; what is here is private to
-- this worker.
--
--   LIVE (slot) -- close: descriptor closed --> end hooks run, slot freed
--                                          \-- requests wait, or on_disconnect is to run: the slot
--                                              stays until the last of them has ended
--
-- The slot's state is CLOSING once nothing is left to begin for the session.

local buffers = require('beespace.engine.buffers')
local ffi = require('ffi')
local locks = require('beespace.engine.locks')
local orders = require('beespace.engine.orders')
local sys = require('beespace.engine.sys')
local shared = require('beespace.engine.table')
local state = require('beespace.engine.state')

ffi.cdef [[
typedef struct {
  double id;             /* session id, 0: no session on this descriptor */
  bee_buffers_t *buffers;  /* NULL while nothing waits */
  uint32_t slot;         /* index in the shared table */
  uint32_t generation;   /* grows at every close: tells an old session from a new one */
  uint8_t queued;        /* output waits: 1 until EPOLLOUT, 2 until the end of the turn */
  uint8_t stopped;       /* not read, bits of sessions.STOPPED */
  uint8_t error_ext;     /* 1: the client understands error objects */
  uint8_t mode;          /* what its input is: 0 requests, 1 thrown away until the end, since it was
                            answered for the last time, 2 statements of a console */
  uint32_t in_flight;    /* requests that wait */
} bee_session_t;
]]

local C = sys.C
local pcall = pcall
local floor, max = math.floor, math.max
local st, cur = state.st, state.cur
local GUEST, ADMIN = state.GUEST, state.ADMIN
local reasons = shared.reason
local CLAIMED, LIVE, CLOSING, FREE = shared.CLAIMED, shared.LIVE, shared.CLOSING, shared.FREE
local NO_FD = shared.NO_FD
local KILL = orders.KILL
local CONSOLE_TYPE = shared.type.CONSOLE
local REQUESTS, LINGERS, CONSOLE = 0, 1, 2
-- Values of a field of 32 bits.
local WORD = 2 ^ 32

local sessions = {
  -- What the input of a session is, see `mode`.
  REQUESTS = REQUESTS,
  LINGERS = LINGERS,
  CONSOLE = CONSOLE,
  -- Why a session is not read: too much output waits; too many of its requests do, or a console's
  -- statement runs; it is so old that it only ends what runs; too many requests of the worker
  -- wait; it was not greeted yet.
  STOPPED = {OUTPUT = 1, REQUESTS = 2, PARTING = 4, HELD = 8, ARRIVING = 16},
  -- Called with the id of a session whose client has left; engine/watch and triggers listen.
  left = function(_) end,
  -- Called with the id of a session that ends, before its slot is free. box/session sets it.
  ended = function(_) end,
  -- Called with the slot of a session that has no socket from now on; engine/tallies sets it.
  unplug = function(slot) slot.fd = NO_FD end,
  -- Called with the id of a session whose socket is closed: true when its slot is needed until
  -- forget() is called once for it. engine/visits sets it.
  farewell = function(_) return false end,
  -- Called with the descriptor of a session that was opened, and again when it is let in after its
  -- on_connect; engine/lifetimes sets it.
  opened = function(_) end,
  -- Called with the id of a session that was opened and greeted, or waits for its on_connect;
  -- engine/closing sets it.
  came = function(_) end,
  -- Called with the id of a session that this worker has offered: its user. engine/adoption
  -- sets it.
  adopted = function(_) return GUEST end,
  count = 0,
  -- Connections given up since the loop last spoke of them.
  lost = 0,
}

-- Seconds that the socket of a session which has ended is kept when the client does not end it, and
-- seconds the client has to take what is queued for it: usually, and when it may not go on.
local LINGER, QUEUE, GRACE = 1, 10, 0.4

local event = ffi.new('bee_epoll_event')
local lingering = {}
-- When to close the sockets of sessions that have ended, by descriptor.
local remains = {}
local all, max_fd
-- The turn of the loop in which a session was opened, by descriptor.
local opened_in
-- What still runs for sessions whose client has left, by session id: requests, on_disconnect.
local leaving = {}

-- Make room for descriptors below `limit`.
function sessions.reserve(limit)
  all = sys.lasting('bee_session_t', limit)
  opened_in = sys.lasting('int', limit)
  max_fd = limit
  sessions.limit = limit
  sessions.all = all
end

-- Ask the poll set for these events on a descriptor it knows.
function sessions.watch(fd, events)
  event.events = events
  event.data = fd
  C.epoll_ctl(st.poll, sys.EPOLL_CTL_MOD, fd, event)
end

local function first_user(id, slot)
  if shared.of_control(slot) or slot.type == CONSOLE_TYPE then
    return ADMIN
  elseif slot.listener == shared.ADOPTED then
    return sessions.adopted(id)
  end
  return GUEST
end

-- The time as a slot's `opened` has it; never 0.
function sessions.hundredths()
  return max(floor(sys.clock(sys.CLOCK_MONOTONIC) * 100) % WORD, 1)
end

-- Take over a claimed session with its descriptor; false when the claim is not ours any more.
function sessions.open(id, fd)
  local slot = shared.slots[id % shared.capacity]
  if slot.id ~= id or slot.state ~= CLAIMED or fd >= max_fd then
    return false
  end
  event.events = sys.EPOLLIN
  event.data = fd
  if C.epoll_ctl(st.poll, sys.EPOLL_CTL_ADD, fd, event) ~= 0 then
    sessions.lose(id)
    return false
  end
  slot.fd = fd
  slot.uid = first_user(id, slot)
  slot.opened = sessions.hundredths()
  slot.state = LIVE
  local session = all[fd]
  session.id = id
  session.slot = id % shared.capacity
  session.queued, session.stopped, session.error_ext = 0, 0, 0
  session.mode = slot.type == CONSOLE_TYPE and CONSOLE or REQUESTS
  session.in_flight = 0
  opened_in[fd] = st.turn
  sessions.count = sessions.count + 1
  shared.row.sessions = sessions.count
  sessions.opened(fd)
  return true
end

-- Whether the session on `fd` was opened in this turn: what the wait before has found on the
-- descriptor belongs to another session then, which was closed meanwhile.
function sessions.is_new(fd)
  return opened_in[fd] == st.turn
end

-- Give up a claimed session whose connection did not arrive.
function sessions.lose(id)
  local slot = shared.slots[id % shared.capacity]
  if slot.id ~= id or slot.state ~= CLAIMED then
    return
  end
  slot.state = LIVE
  slot.state = CLOSING
  sessions.lost = sessions.lost + 1
  slot.id = 0
  orders.forget(id % shared.capacity)
  slot.state = FREE
  shared.row.freed = shared.row.freed + 1
end

-- Free the slot of a session that nobody works for any more.
local function free_slot(id)
  local slot = shared.slots[id % shared.capacity]
  if st.rehearsal == 0 then
    sessions.ended(id)
  end
  local row = shared.row
  sessions.count = sessions.count - 1
  row.sessions = sessions.count
  -- A sender that is about to add to the inbox must not find the slot another session's.
  local locked = pcall(locks.lock, row.inbox_lock, 'the inboxes')
  slot.inbox_bytes = 0
  slot.id = 0
  if st.rehearsal == 0 then
    orders.forget(id % shared.capacity)
  end
  slot.state = FREE
  -- Not before: the acceptor must not count on a slot that is taken.
  row.freed = row.freed + 1
  if locked then
    locks.unlock(row.inbox_lock)
  end
end

local function close_socket(fd)
  -- The acceptor may still hold a copy of the socket, so closing alone does not leave the poll set.
  C.epoll_ctl(st.poll, sys.EPOLL_CTL_DEL, fd, event)
  C.close(fd)
end

-- End the session on a descriptor: buffers, and the slot unless requests of it wait. The socket is
-- closed, or kept for what the client still sends.
local function finish(fd, reason, keeps_socket)
  local session = all[fd]
  local id = session.id
  local slot, ended = shared.slots[session.slot], shared.row.ended
  if st.rehearsal == 0 and orders.wish(id) >= KILL then
    slot.reason = reasons.KILLED
  elseif slot.reason == 0 then
    slot.reason = reason or reasons.CLIENT
  end
  if st.rehearsal == 0 then
    sessions.left(id)
  end
  session.id = 0
  session.generation = session.generation + 1
  if buffers.free(session) then
    slot.pending_out = 0
  end
  -- Before the descriptor may be another's: workers/enforcer.py looks at it from beside. Together
  -- with the count: what has no descriptor was counted, should the worker die here.
  sessions.unplug(slot)
  ended[slot.reason] = ended[slot.reason] + 1
  if keeps_socket then
    remains[fd] = sys.clock(sys.CLOCK_MONOTONIC) + LINGER
    -- Before the slot is free: the acceptor must not count its descriptor as free too.
    shared.row.kept = shared.row.kept + 1
    sessions.watch(fd, sys.EPOLLIN)
  else
    close_socket(fd)
  end
  local holds = session.in_flight
  if st.rehearsal == 0 and sessions.farewell(id) then
    holds = holds + 1
  else
    slot.state = CLOSING
  end
  if holds == 0 then
    free_slot(id)
  else
    leaving[id] = holds
  end
end

-- End the session on a descriptor with its socket. Nothing happens when there is none. `reason` is
-- one of shared.reason, CLIENT unless given.
function sessions.close(fd, reason)
  if all[fd].id ~= 0 then
    finish(fd, reason, false)
  end
end

-- Call `visit(id, slot)` for every session whose client is there.
function sessions.each(visit)
  local fd, left = 0, sessions.count
  while left > 0 and fd < max_fd do
    local session = all[fd]
    if session.id ~= 0 then
      left = left - 1
      visit(session.id, shared.slots[session.slot])
    end
    fd = fd + 1
  end
end

-- A request, or the on_disconnect, of a session whose client has left has ended.
function sessions.forget(id)
  local count = leaving[id]
  if count == nil then
    return
  elseif count > 1 then
    leaving[id] = count - 1
  else
    leaving[id] = nil
    free_slot(id)
  end
end

-- Close the session on `fd` in some seconds unless it has ended by then.
local function close_after(fd, seconds)
  lingering[#lingering + 1] = {
    fd = fd,
    generation = all[fd].generation,
    deadline = sys.clock(sys.CLOCK_MONOTONIC) + seconds,
  }
end

-- The last byte for a lingering client has left: our direction ends, and the session.
function sessions.end_output(fd)
  C.shutdown(fd, sys.SHUT_WR)
  finish(fd, nil, true)
end

-- Whether the socket of a session that has ended is kept on this descriptor.
function sessions.has_remains(fd)
  return remains[fd] ~= nil
end

-- Nothing is to come any more over the socket that is kept on `fd`.
function sessions.bury(fd)
  remains[fd] = nil
  close_socket(fd)
  shared.row.kept = shared.row.kept - 1
end

-- Write down how many of all the `open` descriptors of this worker are no session's.
function sessions.publish_own_fds(open)
  local row, gone = shared.row, 0
  for _ in pairs(leaving) do
    gone = gone + 1
  end
  row.own_fds = max(open - (sessions.count - gone) - tonumber(row.kept), 0)
end

-- Stop talking to a client without losing what was just sent: closing with unread input would
-- reset the connection and may take the last answer away. The session ends when its queue is
-- drained, within QUEUE seconds (GRACE when it may not go on), or within `seconds` when given; its
-- socket is kept, and what comes over it thrown away, until the client ends too, for LINGER seconds
-- at most. `reason` as for close.
function sessions.linger(fd, reason, seconds)
  local session = all[fd]
  if session.id == 0 or session.mode == LINGERS then
    return
  end
  session.mode = LINGERS
  shared.slots[session.slot].reason = reason
  if session.queued == 0 then
    sessions.end_output(fd)
  else
    close_after(fd, seconds or reason == reasons.CREDENTIALS and GRACE or QUEUE)
  end
end

-- End what lingers and whose time is over at `now`, seconds of the monotonic clock.
function sessions.sweep(now)
  for fd, deadline in pairs(remains) do
    if deadline <= now then
      sessions.bury(fd)
    end
  end
  for index = #lingering, 1, -1 do
    local each = lingering[index]
    local ended = all[each.fd].generation ~= each.generation
    if ended or each.deadline <= now then
      table.remove(lingering, index)
      if not ended then
        sessions.close(each.fd)
      end
    end
  end
end

-- Whether the client of the running code is there, to be answered.
function sessions.has_client()
  return cur.fd >= 0 and all[cur.fd].id == cur.id
end

-- Close every connection of this worker, since the server stops.
function sessions.dismiss()
  local fd = 0
  while sessions.count > 0 and fd < max_fd do
    sessions.close(fd, reasons.SHUTDOWN)
    fd = fd + 1
  end
end

-- End every session of this worker, whatever still runs for it.
function sessions.close_all()
  sessions.dismiss()
  for id in pairs(leaving) do
    free_slot(id)
  end
  leaving = {}
  for fd in pairs(remains) do
    sessions.bury(fd)
  end
end

return sessions
