-- The ceiling: what this machine's sockets do when nobody thinks about the requests.
--
-- bench/echo.py runs serve() in a process of its own. Every `size` bytes that arrive are taken for
-- a request and answered with the same ready-made answer; nothing is read, nothing is looked up.
-- A server can come close to this figure, not above it. Sends block: the load generator always
-- reads.

local ffi = require('ffi')

ffi.cdef([[
typedef struct __attribute__((packed)) { uint32_t events; uint64_t data; } echo_event;
int epoll_create1(int flags);
int epoll_ctl(int epoll, int operation, int fd, echo_event *event);
int epoll_wait(int epoll, echo_event *events, int most, int milliseconds);
int accept4(int fd, void *address, void *length, int flags);
int setsockopt(int fd, int level, int option, const void *value, unsigned length);
ssize_t recv(int fd, void *buffer, size_t size, int flags);
ssize_t send(int fd, const void *buffer, size_t size, int flags);
int close(int fd);
char *strerror(int number);
]])

local C = ffi.C

local EPOLLIN, EPOLL_CTL_ADD = 1, 1
local IPPROTO_TCP, TCP_NODELAY = 6, 1
local MSG_DONTWAIT, MSG_NOSIGNAL = 0x40, 0x4000
local EINTR, EAGAIN = 4, 11

local EVENTS = 256
local BUFFER = 1048576
local FDS = 65536

local events = ffi.new('echo_event[?]', EVENTS)
local change = ffi.new('echo_event')
local buffer = ffi.new('uint8_t[?]', BUFFER)
local yes = ffi.new('int[1]', 1)
local partial = ffi.new('int32_t[?]', FDS)

local function fail(what)
  error(what .. ': ' .. ffi.string(C.strerror(ffi.errno())), 0)
end

local function watch(epoll, fd)
  change.events = EPOLLIN
  change.data = fd
  if C.epoll_ctl(epoll, EPOLL_CTL_ADD, fd, change) ~= 0 then
    fail('epoll_ctl')
  end
end

local function accept(epoll, listener, greeting)
  local fd = C.accept4(listener, nil, nil, 0)
  if fd < 0 then
    return
  end
  if fd >= FDS then
    C.close(fd)
    return
  end
  C.setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, yes, 4)
  C.send(fd, greeting, #greeting, MSG_NOSIGNAL)
  partial[fd] = 0
  watch(epoll, fd)
end

local function reply(fd, out, answers, size, room)
  while answers > 0 do
    local now = math.min(answers, room)
    local rest, sent = now * size, 0
    while sent < rest do
      local n = tonumber(C.send(fd, out + sent, rest - sent, MSG_NOSIGNAL))
      if n <= 0 then
        return
      end
      sent = sent + n
    end
    answers = answers - now
  end
end

local echo = {}

-- Serves until `stop` (a descriptor) has something to read or is at its end.
function echo.serve(listener, stop, size, answer, greeting)
  local epoll = C.epoll_create1(0)
  local room = math.floor(BUFFER / #answer)
  local out = ffi.new('uint8_t[?]', room * #answer)
  for i = 0, room - 1 do
    ffi.copy(out + i * #answer, answer, #answer)
  end
  watch(epoll, listener)
  watch(epoll, stop)
  while true do
    local n = C.epoll_wait(epoll, events, EVENTS, -1)
    if n < 0 and ffi.errno() ~= EINTR then
      fail('epoll_wait')
    end
    for k = 0, n - 1 do
      local fd = tonumber(events[k].data)
      if fd == listener then
        accept(epoll, listener, greeting)
      elseif fd == stop then
        C.close(epoll)
        return
      else
        local r = tonumber(C.recv(fd, buffer, BUFFER, MSG_DONTWAIT))
        if r > 0 then
          local have = partial[fd] + r
          local answers = math.floor(have / size)
          partial[fd] = have - answers * size
          if answers > 0 then
            reply(fd, out, answers, #answer, room)
          end
        elseif r == 0 or ffi.errno() ~= EAGAIN then
          C.close(fd)
        end
      end
    end
  end
end

return echo
