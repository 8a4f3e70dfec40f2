-- The bus: messages from one worker to another, and to itself.
--
-- Each worker row has one pair of sockets for the life of the server (shm/channel.bus): the worker
-- of the row reads one end, every worker writes into the other. Who wants to tell another worker
-- something calls send(); who wants to hear of a kind of message calls on(). The loop does the
-- rest, one step a turn:
--
--   send -> lane of the target -- flush_next(), before the loop waits --> socket
--   socket -- receive(), when it is readable --> one datagram -- next() --> one handler call
--
-- A lane is a queue of finished datagrams. Small messages share one, a message that is longer than
-- a datagram is cut into pieces, and the reader puts it together again (engine/assembly). A lane
-- whose socket is full waits for EPOLLOUT. Order is kept from each sender to each target.
--
-- A worker that is started again reads what its row's last one has left, so a handler looks up
-- what a message speaks of, and finds that it is gone.

local ffi = require('ffi')
local bridge = require('beespace.bridge')
local assembly = require('beespace.engine.assembly')
local shared = require('beespace.engine.table')
local sys = require('beespace.engine.sys')

local C = sys.C
local copy, cast, to_string = ffi.copy, ffi.cast, ffi.string
local error, pcall, tonumber, tostring = error, pcall, tonumber, tostring
local SEND_FLAGS = sys.MSG_DONTWAIT + sys.MSG_NOSIGNAL
local EAGAIN, EINTR, ENOBUFS = sys.EAGAIN, sys.EINTR, sys.ENOBUFS

ffi.cdef [[
typedef struct {
  uint32_t from;     /* row of the sender */
  uint32_t epoch;    /* random, the sender's own: tells a process from its row's last one */
} bee_datagram_t;

typedef struct {
  uint32_t length;   /* bytes that follow */
  uint32_t total;    /* bytes of the whole message */
  uint16_t kind;
  uint16_t first;    /* 1: the message begins here */
} bee_piece_t;

typedef struct {
  uint8_t *bytes;    /* [at, len): datagrams, each behind its length (uint32_t) */
  uint32_t at, len, cap;
  uint32_t open;     /* where the last datagram is, NONE: it takes no more */
  int fd;
  uint8_t waits;     /* 1: the socket was full, EPOLLOUT will say when it takes more */
  uint8_t listed;    /* 1: flush_next will look at it */
} bee_lane_t;

typedef struct {
  int at, have;      /* messages of the received datagram that are not delivered */
  int dirty;         /* lanes in the list */
  int from;          /* sender of the datagram */
} bee_bus_t;
]]

local DATAGRAM = 32 * 1024
local LENGTH, HEAD, PIECE = 4, ffi.sizeof('bee_datagram_t'), ffi.sizeof('bee_piece_t')
local MAX_MESSAGE = 256 * 1024 * 1024
local MAX_WORKERS = 256
local NONE = 0xffffffff
-- Datagrams that one call of drain() reads.
local MOST_DRAINED = 256
-- Memory an empty lane keeps.
local KEEP = 256 * 1024
local u32p = ffi.typeof('uint32_t *')
local datagram_p, piece_p = ffi.typeof('bee_datagram_t *'), ffi.typeof('bee_piece_t *')

local bus = {
  -- Bytes that may wait for one worker.
  LIMIT = 64 * 1024 * 1024,
  -- Bytes of the longest message.
  MAX_MESSAGE = MAX_MESSAGE,
  KIND = {
    EVENT_NUDGE = 1, INBOX = 2, SEND = 3, RPC = 4, RPC_REPLY = 5, KILL = 6,
    HELLO = 7, MARK = 8, MARKED = 9, TRIGGER_NUDGE = 10, CATALOG_NUDGE = 11,
  },
  -- Rows of the segment, also those that are free, and which of them is this worker's; 0 and -1
  -- while there is no bus.
  count = 0,
  index = -1,
}

local now = ffi.new('bee_bus_t')
local lanes = ffi.new('bee_lane_t[?]', MAX_WORKERS)
local list = ffi.new('int[?]', MAX_WORKERS)
local input = ffi.new('uint8_t[?]', DATAGRAM)
local epoch = ffi.new('uint32_t[1]')
local targets, handlers = {}, {}
local add_channel, drop_channel
local own_end
local is_used = shared.is_used

-- What the loop asks: whether messages are left to deliver, and lanes to flush.
bus.now = now

local function enlist(target, lane)
  if lane.listed == 0 and lane.waits == 0 then
    lane.listed = 1
    list[now.dirty] = target
    now.dirty = now.dirty + 1
  end
end

-- Sending -----------------------------------------------------------------------------------------

-- Room for `more` bytes at the end of a lane; false when there is no memory.
local function make_room(lane, more)
  if lane.len + more <= lane.cap then
    return true
  end
  local at, rest = lane.at, lane.len - lane.at
  if at > rest then
    C.memmove(lane.bytes, lane.bytes + at, rest)
    lane.open = lane.open == NONE and NONE or lane.open - at
    lane.at, lane.len = 0, rest
  end
  local cap = math.max(lane.cap, 2 * DATAGRAM)
  while cap < lane.len + more do
    cap = cap * 2
  end
  if cap > lane.cap then
    local grown = C.realloc(lane.bytes, cap)
    if grown == nil then
      return false
    end
    lane.bytes, lane.cap = grown, cap
  end
  return true
end

-- Begin a datagram at the end of a lane that has room for it.
local function open_datagram(lane)
  local at = lane.len
  lane.open = at
  cast(u32p, lane.bytes + at)[0] = HEAD
  local head = cast(datagram_p, lane.bytes + at + LENGTH)
  head.from, head.epoch = bus.index, epoch[0]
  lane.len = at + LENGTH + HEAD
end

-- Append a piece to the open datagram, which has room for it.
local function append(lane, kind, from, length, total, first)
  local at = lane.len
  local piece = cast(piece_p, lane.bytes + at)
  piece.length, piece.total, piece.kind, piece.first = length, total, kind, first
  copy(lane.bytes + at + PIECE, from, length)
  lane.len = at + PIECE + length
  local size = cast(u32p, lane.bytes + lane.open)
  size[0] = size[0] + PIECE + length
end

-- Send the oldest datagram of a lane; whether it is gone.
local function send_oldest(lane)
  local at = lane.at
  local length = cast(u32p, lane.bytes + at)[0]
  if lane.open == at then
    lane.open = NONE
  end
  if tonumber(C.send(lane.fd, lane.bytes + at + LENGTH, length, SEND_FLAGS)) < 0 then
    local errno = ffi.errno()
    if errno == EAGAIN or errno == ENOBUFS then
      return false
    elseif errno == EINTR then
      return true
    end
    -- Nobody holds the other end, not even the supervisor: this process is about to end.
  end
  at = at + LENGTH + length
  lane.at = at
  if at == lane.len then
    lane.at, lane.len, lane.open = 0, 0, NONE
    if lane.cap > KEEP then
      C.free(lane.bytes)
      lane.bytes, lane.cap = nil, 0
    end
  end
  return true
end

-- Send the oldest datagram of a lane, or let the poll set say when the socket takes it.
local function push_on(target, lane)
  if not send_oldest(lane) and lane.waits == 0 then
    lane.waits = 1
    add_channel(lane.fd, bus.writable, sys.EPOLLOUT)
  end
  if lane.len > 0 then
    enlist(target, lane)
  end
end

-- A message that fits into no datagram: pieces that fill one each.
local function append_pieces(target, lane, kind, payload, length)
  local from, at = cast('const uint8_t *', payload), 0
  local room = DATAGRAM - HEAD - PIECE
  local count = math.ceil(length / room)
  if not make_room(lane, length + count * (LENGTH + HEAD + PIECE)) then
    return false
  end
  while at < length do
    local part = math.min(room, length - at)
    open_datagram(lane)
    append(lane, kind, from + at, part, length, at == 0 and 1 or 0)
    at = at + part
  end
  enlist(target, lane)
  return true
end

-- Let the open datagram of a lane have room for `need` bytes, if need be in a new one; false when
-- there is no memory.
local function make_place(target, lane, need)
  local full = lane.open ~= NONE and lane.len - lane.open - LENGTH + need > DATAGRAM
  if full and lane.waits == 0 then
    -- Who sends very much in one turn need not keep it all.
    push_on(target, lane)
  end
  if not make_room(lane, LENGTH + HEAD + need) then
    return false
  elseif full or lane.open == NONE then
    open_datagram(lane)
  end
  return true
end

-- Queue a message for the worker `target`; it leaves at the end of this turn. False when more than
-- LIMIT bytes wait for that worker (or memory is short), and then nothing was queued.
function bus.send(target, kind, payload)
  local length = #payload
  if not (target >= 0 and target < bus.count) then
    error(('there is no worker %s'):format(tostring(target)), 2)
  elseif length > MAX_MESSAGE then
    error(('a message of %d bytes, at most %d fit'):format(length, MAX_MESSAGE), 2)
  end
  local lane = lanes[target]
  if lane.len - lane.at > bus.LIMIT then
    return false
  elseif HEAD + PIECE + length > DATAGRAM then
    return append_pieces(target, lane, kind, payload, length)
  elseif not make_place(target, lane, PIECE + length) then
    return false
  end
  append(lane, kind, payload, length, length, 1)
  enlist(target, lane)
  return true
end

-- Queue a message for every other worker; nobody reads what is sent to a free row.
function bus.broadcast(kind, payload)
  for target = 0, bus.count - 1 do
    if target ~= bus.index and is_used(target) then
      bus.send(target, kind, payload)
    end
  end
end

-- Send one datagram of one lane; called while `now.dirty` is not 0.
function bus.flush_next()
  local last = now.dirty - 1
  now.dirty = last
  local target = list[last]
  local lane = lanes[target]
  lane.listed = 0
  if lane.len > 0 and lane.waits == 0 then
    push_on(target, lane)
  end
end

-- Send all that the sockets take.
function bus.flush()
  while now.dirty > 0 do
    bus.flush_next()
  end
end

-- The socket of a lane takes bytes again.
function bus.writable(fd)
  drop_channel(fd)
  local target = targets[fd]
  lanes[target].waits = 0
  enlist(target, lanes[target])
end

-- Bytes that wait for a worker.
function bus.waiting(target)
  return lanes[target].len - lanes[target].at
end

-- Receiving ---------------------------------------------------------------------------------------

-- Call `handler(payload, from)` for every message of a kind, between two batches. It must not wait.
function bus.on(kind, handler)
  handlers[kind] = handler
end

-- Read one datagram; next() is called until `now.at` reaches `now.have`.
function bus.receive(fd)
  local length = tonumber(C.recv(fd, input, DATAGRAM, sys.MSG_DONTWAIT))
  if length >= HEAD then
    local head = cast(datagram_p, input)
    now.from = head.from
    now.at, now.have = HEAD, length
    assembly.hear(head.from, head.epoch)
  elseif length == 0 then
    -- The supervisor is gone, and this process ends.
    drop_channel(fd)
  end
end

local function deliver(kind, bytes, length, from)
  local handler = handlers[kind]
  if handler ~= nil then
    handler(to_string(bytes, length), from)
  end
end

-- Deliver the next message of the datagram, or keep a piece of a long one.
function bus.next()
  local at = now.at
  local piece = cast(piece_p, input + at)
  local length, total, kind = piece.length, piece.total, piece.kind
  local bytes = input + at + PIECE
  now.at = at + PIECE + length
  local whole = length == total
  if not whole then
    bytes = assembly.add(now.from, bytes, length, total, piece.first)
    if bytes == nil then
      return
    end
  end
  local ok, raised = pcall(deliver, kind, bytes, total, now.from)
  if not whole then
    assembly.drop(now.from)
  end
  if not ok then
    bridge.log('error', ('a message of kind %d failed: %s'):format(kind, tostring(raised)))
  end
end

-- Deliver at once what has come, MOST_DRAINED datagrams at most. Not to be called by a handler.
function bus.drain()
  for _ = 1, MOST_DRAINED do
    while now.at < now.have do
      bus.next()
    end
    now.at, now.have = 0, 0
    bus.receive(own_end)
    if now.at >= now.have then
      return
    end
  end
end

-- Take part: this is worker `index`, it reads `reader` and writes into `writers`, a text with the
-- descriptor of each row. `channels` is engine/channels, whose poll set the sockets are in.
function bus.attach(index, reader, writers, channels)
  add_channel, drop_channel = channels.add_channel, channels.drop_channel
  local count = 0
  for text in writers:gmatch('%d+') do
    local fd = tonumber(text)
    lanes[count].fd, lanes[count].open = fd, NONE
    targets[fd] = count
    count = count + 1
  end
  bus.index, bus.count = index, count
  C.getrandom(epoch, 4, 0)
  own_end = reader
  add_channel(reader, bus.receive)
end

return bus
