-- The load generator: keeps many connections busy and measures, cheaply enough not to be the limit.
--
-- bench/client.py loads this file into LuaJIT, hands over connected sockets, and drives:
--
--   open(fds, ...)       one batch of requests and the length of its answer, for each socket
--   start()              sends the first batch of every connection
--   drive(seconds)       closed loop: who has its whole answer sends its batch again
--   drain()              waits for what is on the way; afterwards the sockets are quiet again
--   close()
--
-- Answers are counted, not read: MSG_TRUNC lets the kernel throw TCP data away without a copy. So
-- the caller compares contents before open() and after drain(). A batch is the unit: its latency is
-- the time from its first byte sent to its last byte received.

local ffi = require('ffi')
local bit = require('bit')

ffi.cdef([[
typedef struct __attribute__((packed)) { uint32_t events; uint64_t data; } load_event;
typedef struct { long seconds; long nanoseconds; } load_time;
typedef struct {
  int fd;
  uint32_t interest;
  const char *batch;
  int64_t length;
  int64_t sent;
  int64_t want;
  int64_t left;
  double since;
} load_connection;
int epoll_create1(int flags);
int epoll_ctl(int epoll, int operation, int fd, load_event *event);
int epoll_wait(int epoll, load_event *events, int most, int milliseconds);
ssize_t recv(int fd, void *buffer, size_t size, int flags);
ssize_t send(int fd, const void *buffer, size_t size, int flags);
int close(int fd);
int clock_gettime(int clock, load_time *out);
char *strerror(int number);
]])

local C = ffi.C

local CLOCK_MONOTONIC, CLOCK_PROCESS_CPU = 1, 2
local EPOLLIN, EPOLLOUT = 1, 4
local EPOLL_CTL_ADD, EPOLL_CTL_MOD = 1, 3
local EINTR, EAGAIN = 4, 11
local RECEIVE_FLAGS = 0x20 + 0x40 -- MSG_TRUNC, MSG_DONTWAIT
local SEND_FLAGS = 0x4000 + 0x40 -- MSG_NOSIGNAL, MSG_DONTWAIT

local EVENTS = 512
local BUFFER = 1048576
local PATIENCE = 10 -- seconds without any answer until the server counts as dead
local TURN = 100 -- milliseconds, longest wait

-- Latencies fall into buckets 1 % wide: bucket b holds 1.01^b to 1.01^(b+1) microseconds.
local BUCKETS = 2048
local SCALE = 1 / math.log(1.01)

local log, floor = math.log, math.floor

local clock = ffi.new('load_time')
local events = ffi.new('load_event[?]', EVENTS)
local change = ffi.new('load_event')
local buffer = ffi.new('uint8_t[?]', BUFFER)
local histogram = ffi.new('uint32_t[?]', BUCKETS)
local totals = ffi.new('struct { double batches, slowest, turns, from, heard; }')

local epoll = -1
local count = 0
local connections

local function read_clock(which)
  C.clock_gettime(which, clock)
  return tonumber(clock.seconds) + tonumber(clock.nanoseconds) * 1e-9
end

local function fail(what)
  error(what .. ': ' .. ffi.string(C.strerror(ffi.errno())), 0)
end

local function watch(operation, index, interest)
  local connection = connections[index]
  connection.interest = interest
  change.events = interest
  change.data = index
  if C.epoll_ctl(epoll, operation, connection.fd, change) ~= 0 then
    fail('epoll_ctl')
  end
end

-- Sends what is left of the batch; a full socket is watched for writability.
local function push(index)
  local connection = connections[index]
  local rest = connection.length - connection.sent
  local n = tonumber(C.send(connection.fd, connection.batch + connection.sent, rest, SEND_FLAGS))
  if n < 0 then
    if ffi.errno() ~= EAGAIN then
      fail('send')
    end
    n = 0
  end
  connection.sent = connection.sent + n
  local interest = EPOLLIN
  if connection.sent < connection.length then
    interest = EPOLLIN + EPOLLOUT
  end
  if connection.interest ~= interest then
    watch(EPOLL_CTL_MOD, index, interest)
  end
end

local function begin(index, now)
  local connection = connections[index]
  connection.sent = 0
  connection.left = connection.want
  connection.since = now
  push(index)
end

local function note(since, now)
  totals.batches = totals.batches + 1
  if since < totals.from then
    return
  end
  local micros = (now - since) * 1e6
  if micros > totals.slowest then
    totals.slowest = micros
  end
  local bucket = 0
  if micros > 1 then
    bucket = floor(log(micros) * SCALE)
  end
  if bucket >= BUCKETS then
    bucket = BUCKETS - 1
  end
  histogram[bucket] = histogram[bucket] + 1
end

-- Takes one portion of an answer; true when the batch is complete.
local function take(index, now)
  local connection = connections[index]
  local n = tonumber(C.recv(connection.fd, buffer, BUFFER, RECEIVE_FLAGS))
  if n < 0 then
    if ffi.errno() == EAGAIN then
      return false
    end
    fail('receive')
  end
  if n == 0 then
    error('the server closed a connection', 0)
  end
  totals.heard = now
  connection.left = connection.left - n
  if connection.left > 0 then
    return false
  end
  if connection.left < 0 then
    error('the server sent more bytes than its answers have', 0)
  end
  note(connection.since, now)
  return true
end

local function wait(milliseconds)
  local n = C.epoll_wait(epoll, events, EVENTS, milliseconds)
  if n < 0 then
    if ffi.errno() == EINTR then
      error('interrupted', 0)
    end
    fail('epoll_wait')
  end
  totals.turns = totals.turns + 1
  return n
end

local function check_patience(now)
  if now - totals.heard > PATIENCE then
    error('no answer for ' .. PATIENCE .. ' seconds', 0)
  end
end

local load = {BUCKETS = BUCKETS}

function load.open(fds, batches, wants)
  count = #fds
  load.batches = batches -- the connections point into these strings
  connections = ffi.new('load_connection[?]', count)
  epoll = C.epoll_create1(0)
  if epoll < 0 then
    fail('epoll_create1')
  end
  for i = 1, count do
    local connection = connections[i - 1]
    connection.fd = fds[i]
    connection.batch = batches[i]
    connection.length = #batches[i]
    connection.want = wants[i]
    watch(EPOLL_CTL_ADD, i - 1, EPOLLIN)
  end
end

function load.start()
  for index = 0, count - 1 do
    begin(index, read_clock(CLOCK_MONOTONIC))
  end
end

-- Returns batches answered, seconds, CPU seconds of this process, waits, slowest batch in
-- microseconds, and the histogram as the bytes of BUCKETS native 32-bit counters.
function load.drive(seconds)
  ffi.fill(histogram, ffi.sizeof('uint32_t') * BUCKETS)
  ffi.fill(totals, ffi.sizeof(totals))
  local cpu = read_clock(CLOCK_PROCESS_CPU)
  local from = read_clock(CLOCK_MONOTONIC)
  local now, stop = from, from + seconds
  totals.from, totals.heard = from, from
  while now < stop do
    local n = wait(TURN)
    now = read_clock(CLOCK_MONOTONIC)
    for k = 0, n - 1 do
      local index = tonumber(events[k].data)
      if bit.band(events[k].events, EPOLLOUT) ~= 0 then
        push(index)
      end
      if bit.band(events[k].events, bit.bnot(EPOLLOUT)) ~= 0 and take(index, now) then
        begin(index, now)
      end
    end
    check_patience(now)
  end
  cpu = read_clock(CLOCK_PROCESS_CPU) - cpu
  return totals.batches, now - from, cpu, totals.turns, totals.slowest,
    ffi.string(histogram, ffi.sizeof('uint32_t') * BUCKETS)
end

local function busy()
  for index = 0, count - 1 do
    if connections[index].left > 0 then
      return true
    end
  end
  return false
end

function load.drain()
  local now = read_clock(CLOCK_MONOTONIC)
  totals.heard = now
  while busy() do
    local n = wait(TURN)
    now = read_clock(CLOCK_MONOTONIC)
    for k = 0, n - 1 do
      local index = tonumber(events[k].data)
      if bit.band(events[k].events, EPOLLOUT) ~= 0 then
        push(index)
      end
      if bit.band(events[k].events, bit.bnot(EPOLLOUT)) ~= 0 then
        take(index, now)
      end
    end
    check_patience(now)
  end
end

function load.close()
  if epoll >= 0 then
    C.close(epoll)
  end
  epoll, count, connections, load.batches = -1, 0, nil, nil
end

return load
