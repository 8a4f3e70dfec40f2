-- Requests that arrive at a fixed rate, whether or not those before them are answered.
--
-- bench/arrivals.py loads this file into LuaJIT. drive() sends request k when it is due, at k/rate
-- seconds, over connection k modulo their number; a tick of a timer sends all that have become due.
-- The time of a request counts from when it was due to when its answer was read: a server that
-- stands still, and a client that comes late, delay all that are due meanwhile. So nothing is left
-- out of the latencies, which a closed loop would do (coordinated omission).
--
-- Answers of a connection come in the order of its requests and have all the same size, so they are
-- told apart by counting bytes; MSG_TRUNC lets the kernel throw them away without a copy.

local ffi = require('ffi')
local bit = require('bit')

ffi.cdef([[
typedef struct __attribute__((packed)) { uint32_t events; uint64_t data; } arrivals_event;
typedef struct { long seconds; long nanoseconds; } arrivals_time;
typedef struct { arrivals_time interval; arrivals_time value; } arrivals_timer;
typedef struct {
  int fd;
  uint8_t listens;      /* 1: writability is waited for */
  double owed;          /* bytes of requests that are due and not sent */
  double sent;          /* bytes sent since the start */
  double heard;         /* bytes of an answer that is not complete */
  uint32_t head, tail;  /* places in its ring of due times */
} arrivals_connection;
int epoll_create1(int flags);
int epoll_ctl(int epoll, int operation, int fd, arrivals_event *event);
int epoll_wait(int epoll, arrivals_event *events, int most, int milliseconds);
int timerfd_create(int clock, int flags);
int timerfd_settime(int fd, int flags, const arrivals_timer *new, arrivals_timer *old);
ssize_t read(int fd, void *buffer, size_t size);
ssize_t recv(int fd, void *buffer, size_t size, int flags);
ssize_t send(int fd, const void *buffer, size_t size, int flags);
int close(int fd);
int clock_gettime(int clock, arrivals_time *out);
char *strerror(int number);
]])

local C = ffi.C

local CLOCK_MONOTONIC, CLOCK_PROCESS_CPU = 1, 2
local EPOLLIN, EPOLLOUT = 1, 4
local EPOLL_CTL_ADD, EPOLL_CTL_MOD = 1, 3
local EINTR, EAGAIN = 4, 11
local RECEIVE_FLAGS = 0x20 + 0x40 -- MSG_TRUNC, MSG_DONTWAIT
local SEND_FLAGS = 0x4000 + 0x40 -- MSG_NOSIGNAL, MSG_DONTWAIT
local TICK = 100000 -- nanoseconds between two looks at what is due
local TIMER = 0xffffffff

local EVENTS = 256
local BUFFER = 1048576
local COPIES = 256 -- requests that one send may carry
local RING = 65536 -- requests on the way on one connection; more is an overload
local TURN = 100 -- milliseconds, longest wait
local BUCKETS = 2048
local SCALE = 1 / math.log(1.01)

local floor, log, min = math.floor, math.log, math.min

local clock = ffi.new('arrivals_time')
local events = ffi.new('arrivals_event[?]', EVENTS)
local change = ffi.new('arrivals_event')
local buffer = ffi.new('uint8_t[?]', BUFFER)
local histogram = ffi.new('uint32_t[?]', BUCKETS)
local connections, rings, count
local requests, request_size, answer_size
local epoll
local answered, slowest, last

local arrivals = {BUCKETS = BUCKETS}

local function read_clock(which)
  C.clock_gettime(which, clock)
  return tonumber(clock.seconds) + tonumber(clock.nanoseconds) * 1e-9
end

local function fail(what)
  error(what .. ': ' .. ffi.string(C.strerror(ffi.errno())), 0)
end

local function watch(operation, fd, interest, data)
  change.events, change.data = interest, data
  if C.epoll_ctl(epoll, operation, fd, change) ~= 0 then
    fail('epoll_ctl')
  end
end

-- Send what a connection owes, as far as the socket takes it.
local function push(index)
  local connection = connections[index]
  while connection.owed > 0 do
    local offset = connection.sent % request_size
    local most = min(connection.owed, COPIES * request_size - offset)
    local n = tonumber(C.send(connection.fd, requests + offset, most, SEND_FLAGS))
    if n < 0 then
      if ffi.errno() ~= EAGAIN then
        fail('send')
      end
      break
    end
    connection.owed = connection.owed - n
    connection.sent = connection.sent + n
  end
  local listens = connection.owed > 0 and 1 or 0
  if listens ~= connection.listens then
    connection.listens = listens
    watch(EPOLL_CTL_MOD, connection.fd, EPOLLIN + listens * EPOLLOUT, index)
  end
end

local function note(micros)
  slowest = micros > slowest and micros or slowest
  local bucket = micros > 1 and floor(log(micros) * SCALE) or 0
  bucket = bucket < BUCKETS and bucket or BUCKETS - 1
  histogram[bucket] = histogram[bucket] + 1
end

local function take(index, now)
  local connection = connections[index]
  local n = tonumber(C.recv(connection.fd, buffer, BUFFER, RECEIVE_FLAGS))
  if n < 0 then
    if ffi.errno() == EAGAIN then
      return
    end
    fail('receive')
  elseif n == 0 then
    error('the server closed a connection', 0)
  end
  local heard = connection.heard + n
  local ring = rings + index * RING
  while heard >= answer_size do
    if connection.head == connection.tail then
      error('the server sent more bytes than its answers have', 0)
    end
    heard = heard - answer_size
    note((now - ring[connection.head % RING]) * 1e6)
    connection.head = connection.head + 1
    answered, last = answered + 1, now
  end
  connection.heard = heard
end

-- Put what is due until `now` on its way; the number of the next request, or nil when more are on
-- the way than a ring holds.
local function arrive(number, from, rate, most, now)
  local first = number
  while number < most do
    local due = from + number / rate
    if due > now then
      break
    end
    local index = number % count
    local connection = connections[index]
    if connection.tail - connection.head >= RING then
      return nil
    end
    rings[index * RING + connection.tail % RING] = due
    connection.tail = connection.tail + 1
    connection.owed = connection.owed + request_size
    number = number + 1
  end
  for k = first, min(number, first + count) - 1 do
    push(k % count)
  end
  return number
end

local function set_timer(fd, nanoseconds)
  local timer = ffi.new('arrivals_timer')
  timer.interval.nanoseconds, timer.value.nanoseconds = nanoseconds, nanoseconds
  if C.timerfd_settime(fd, 0, timer, nil) ~= 0 then
    fail('timerfd_settime')
  end
end

-- Wait once and take what has come.
local function turn(timer)
  local n = C.epoll_wait(epoll, events, EVENTS, TURN)
  if n < 0 and ffi.errno() ~= EINTR then
    fail('epoll_wait')
  end
  local now = read_clock(CLOCK_MONOTONIC)
  for k = 0, n - 1 do
    local index = tonumber(events[k].data)
    if index == TIMER then
      C.read(timer, buffer, 8)
    else
      if bit.band(events[k].events, EPOLLOUT) ~= 0 then
        push(index)
      end
      if bit.band(events[k].events, bit.bnot(EPOLLOUT)) ~= 0 then
        take(index, now)
      end
    end
  end
  return now
end

local function open(fds)
  count = #fds
  connections = ffi.new('arrivals_connection[?]', count)
  rings = ffi.new('double[?]', count * RING)
  epoll = C.epoll_create1(0x80000)
  if epoll < 0 then
    fail('epoll_create1')
  end
  for index = 0, count - 1 do
    connections[index].fd = fds[index + 1]
    watch(EPOLL_CTL_ADD, fds[index + 1], EPOLLIN, index)
  end
end

-- Send `rate` requests a second for some seconds over connected sockets, then wait for what is on
-- the way, `patience` seconds at most. Returns requests sent, requests answered, seconds from the
-- start to the last answer, CPU seconds of this process, whether the server was overloaded, the
-- slowest answer in microseconds, and the histogram as bytes of BUCKETS native 32-bit counters.
function arrivals.drive(fds, request, size, rate, seconds, patience)
  ffi.fill(histogram, ffi.sizeof('uint32_t') * BUCKETS)
  local copies = request:rep(COPIES)
  requests, request_size, answer_size = ffi.cast('const char *', copies), #request, size
  answered, slowest = 0, 0
  open(fds)
  local timer = C.timerfd_create(CLOCK_MONOTONIC, 0x800)
  watch(EPOLL_CTL_ADD, timer, EPOLLIN, TIMER)
  set_timer(timer, TICK)
  local cpu, from = read_clock(CLOCK_PROCESS_CPU), read_clock(CLOCK_MONOTONIC)
  local number, most, overloaded = 0, floor(rate * seconds), false
  local now = from
  last = from
  while number < most do
    local next_number = arrive(number, from, rate, most, now)
    if next_number == nil then
      overloaded = true
      break
    end
    number = next_number
    now = turn(timer)
  end
  set_timer(timer, 0)
  while answered < number and now < from + seconds + patience do
    now = turn(timer)
  end
  cpu = read_clock(CLOCK_PROCESS_CPU) - cpu
  C.close(timer)
  C.close(epoll)
  return number, answered, last - from, cpu, overloaded or answered < number, slowest,
    ffi.string(histogram, ffi.sizeof('uint32_t') * BUCKETS), #copies
end

return arrivals
