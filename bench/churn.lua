-- Clients that come and go: connect, read the greeting, one call, check the answer, close.
--
-- bench/churn.py loads this file into LuaJIT. visit() keeps so many clients at it at once until a
-- number of them have been served; it returns how long that took, and how long each visit did, from
-- connect() to the last byte of its answer.
--
-- Clients come from several addresses of the loopback network in turn: a port that a client has
-- left stays taken for a minute, and one address has some 28,000 of them.

local ffi = require('ffi')
local bit = require('bit')

ffi.cdef([[
typedef struct __attribute__((packed)) { uint32_t events; uint64_t data; } churn_event;
typedef struct { long seconds; long nanoseconds; } churn_time;
typedef struct {
  uint16_t family; uint16_t port; uint32_t address; uint8_t zero[8];
} churn_address;
typedef struct { int fd; uint32_t got; double since; uint8_t greeted; } churn_visitor;
int socket(int family, int kind, int protocol);
int bind(int fd, const churn_address *address, uint32_t length);
int connect(int fd, const churn_address *address, uint32_t length);
int setsockopt(int fd, int level, int option, const void *value, uint32_t length);
int epoll_create1(int flags);
int epoll_ctl(int epoll, int operation, int fd, churn_event *event);
int epoll_wait(int epoll, churn_event *events, int most, int milliseconds);
ssize_t recv(int fd, void *buffer, size_t size, int flags);
ssize_t send(int fd, const void *buffer, size_t size, int flags);
int memcmp(const void *a, const void *b, size_t size);
int close(int fd);
int clock_gettime(int clock, churn_time *out);
char *strerror(int number);
]])

local C = ffi.C

local AF_INET = 2
local STREAM = 1 + 0x800 + 0x80000 -- SOCK_STREAM, SOCK_NONBLOCK, SOCK_CLOEXEC
local SOL_IP, BIND_ADDRESS_NO_PORT = 0, 24
local EPOLLIN = 1
local EPOLL_CTL_ADD = 1
local EINTR, EAGAIN, EINPROGRESS = 4, 11, 115
local SEND_FLAGS = 0x4000 -- MSG_NOSIGNAL
local CLOCK_MONOTONIC, CLOCK_PROCESS_CPU = 1, 2

local GREETING = 128
local SOURCES = 16
local EVENTS = 256
local ROOM = 4096
local TURN = 100 -- milliseconds, longest wait
local PATIENCE = 10 -- seconds without progress until the server counts as dead
local BUCKETS = 2048
local SCALE = 1 / math.log(1.01)

local floor, log = math.floor, math.log
local address_size = ffi.sizeof('churn_address')
local clock = ffi.new('churn_time')
local events = ffi.new('churn_event[?]', EVENTS)
local change = ffi.new('churn_event')
local buffer = ffi.new('uint8_t[?]', ROOM)
local histogram = ffi.new('uint32_t[?]', BUCKETS)
local source = ffi.new('churn_address')
local target = ffi.new('churn_address')
local one = ffi.new('int[1]', 1)

local churn = {BUCKETS = BUCKETS}

local function read_clock(which)
  C.clock_gettime(which, clock)
  return tonumber(clock.seconds) + tonumber(clock.nanoseconds) * 1e-9
end

local function fail(what)
  error(what .. ': ' .. ffi.string(C.strerror(ffi.errno())), 0)
end

-- Bytes of an integer from the highest to the lowest, whatever this machine's order is.
local function network16(number)
  return bit.bor(bit.lshift(bit.band(number, 0xff), 8), bit.rshift(number, 8))
end

local function loopback(last)
  return bit.bor(127, bit.lshift(last, 24))
end

local function begin(epoll, visitor, index, number)
  local fd = C.socket(AF_INET, STREAM, 0)
  if fd < 0 then
    fail('socket')
  end
  source.address = loopback(2 + number % SOURCES)
  C.setsockopt(fd, SOL_IP, BIND_ADDRESS_NO_PORT, one, 4)
  visitor.fd, visitor.got, visitor.greeted = fd, 0, 0
  visitor.since = read_clock(CLOCK_MONOTONIC)
  if C.bind(fd, source, address_size) ~= 0 then
    fail('bind')
  elseif C.connect(fd, target, address_size) ~= 0 and ffi.errno() ~= EINPROGRESS then
    fail('connect')
  end
  change.events, change.data = EPOLLIN, index
  if C.epoll_ctl(epoll, EPOLL_CTL_ADD, fd, change) ~= 0 then
    fail('epoll_ctl')
  end
end

local function note(micros)
  local bucket = micros > 1 and floor(log(micros) * SCALE) or 0
  bucket = bucket < BUCKETS and bucket or BUCKETS - 1
  histogram[bucket] = histogram[bucket] + 1
end

-- Take what has come; true when the visit is over.
local function take(visitor, request, answer)
  local want = visitor.greeted == 0 and GREETING or #answer
  local n = tonumber(C.recv(visitor.fd, buffer + visitor.got, want - visitor.got, 0))
  if n == 0 then
    error('the server closed a connection', 0)
  elseif n < 0 then
    if ffi.errno() == EAGAIN then
      return false
    end
    fail('receive')
  end
  visitor.got = visitor.got + n
  if visitor.got < want then
    -- What has come stands in the shared buffer, where another client would overwrite it.
    error('a greeting or an answer came in parts', 0)
  end
  visitor.got = 0
  if visitor.greeted == 0 then
    if ffi.string(buffer, 10) ~= 'Tarantool ' then
      error('no greeting: ' .. ffi.string(buffer, 10), 0)
    end
    visitor.greeted = 1
    if C.send(visitor.fd, request, #request, SEND_FLAGS) ~= #request then
      fail('send')
    end
    return false
  end
  if C.memcmp(buffer, answer, #answer) ~= 0 then
    error('a wrong answer', 0)
  end
  return true
end

-- Let `count` clients be served by port `port` of 127.0.0.1, `most` of them at a time. Returns
-- seconds, CPU seconds of this process, the slowest visit in microseconds, and the histogram of all
-- as the bytes of BUCKETS native 32-bit counters.
function churn.visit(port, request, answer, count, most)
  ffi.fill(histogram, ffi.sizeof('uint32_t') * BUCKETS)
  source.family, target.family = AF_INET, AF_INET
  target.port, target.address = network16(port), loopback(1)
  local visitors = ffi.new('churn_visitor[?]', most)
  local epoll = C.epoll_create1(0)
  local cpu, from = read_clock(CLOCK_PROCESS_CPU), read_clock(CLOCK_MONOTONIC)
  local begun, served, slowest, now = 0, 0, 0, from
  local heard = from
  while begun < count and begun < most do
    begin(epoll, visitors[begun], begun, begun)
    begun = begun + 1
  end
  while served < count do
    local n = C.epoll_wait(epoll, events, EVENTS, TURN)
    if n < 0 and ffi.errno() ~= EINTR then
      fail('epoll_wait')
    end
    now = read_clock(CLOCK_MONOTONIC)
    if n > 0 then
      heard = now
    elseif now - heard > PATIENCE then
      error('no answer for ' .. PATIENCE .. ' seconds', 0)
    end
    for k = 0, n - 1 do
      local index = tonumber(events[k].data)
      local visitor = visitors[index]
      if take(visitor, request, answer) then
        C.close(visitor.fd)
        local micros = (now - visitor.since) * 1e6
        slowest = micros > slowest and micros or slowest
        note(micros)
        served = served + 1
        if begun < count then
          begin(epoll, visitor, index, begun)
          begun = begun + 1
        end
      end
    end
  end
  cpu = read_clock(CLOCK_PROCESS_CPU) - cpu
  C.close(epoll)
  return now - from, cpu, slowest, ffi.string(histogram, ffi.sizeof('uint32_t') * BUCKETS)
end

return churn
