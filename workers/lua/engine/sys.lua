-- System calls by FFI: the only file that declares them.
--
-- Called by the engine's input, output, intake and loop, and by the modules that need a clock or
-- random bytes. Sockets are never switched to non-blocking: every call passes MSG_DONTWAIT.
-- x86-64 Linux: epoll_event is packed there.

local ffi = require('ffi')

local DECLARATIONS = [[
typedef struct __attribute__((packed)) { uint32_t events; uint64_t data; } bee_epoll_event;
typedef struct { int64_t sec; int64_t nsec; } bee_timespec;
typedef struct { void *base; size_t len; } bee_iovec;
typedef struct { int fd; short events; short came; } bee_pollfd;
typedef struct { uint64_t before[5]; uint64_t size; uint64_t behind[26]; } bee_statx;
typedef struct {
  void *name; uint32_t name_len;
  bee_iovec *iov; size_t iov_len;
  void *control; size_t control_len;
  int flags;
} bee_msghdr;

int epoll_create1(int flags);
int epoll_ctl(int epfd, int op, int fd, bee_epoll_event *event);
int epoll_wait(int epfd, bee_epoll_event *events, int max, int timeout_ms);
ssize_t read(int fd, void *buf, size_t len);
ssize_t recv(int fd, void *buf, size_t len, int flags);
ssize_t send(int fd, const void *buf, size_t len, int flags);
ssize_t recvmsg(int fd, bee_msghdr *message, int flags);
ssize_t sendmsg(int fd, const bee_msghdr *message, int flags);
int socket(int domain, int type, int protocol);
int close(int fd);
int socketpair(int domain, int type, int protocol, int *fds);
int shutdown(int fd, int how);
int clock_gettime(int clock, bee_timespec *time);
ssize_t getrandom(void *buf, size_t len, unsigned flags);
int getpid(void);
char *strerror(int number);
int setenv(const char *name, const char *value, int overwrite);
int unsetenv(const char *name);
int sched_yield(void);
int statx(int dir, const char *path, int flags, unsigned mask, bee_statx *facts);
int poll(void *fds, unsigned long count, int timeout_ms);
void *malloc(size_t size);
void *calloc(size_t count, size_t size);
void *realloc(void *ptr, size_t size);
void free(void *ptr);
int memcmp(const void *left, const void *right, size_t len);
uint8_t *memchr(const void *bytes, int byte, size_t len);
int inet_pton(int family, const void *text, void *address);
void *memmove(void *to, const void *from, size_t len);
void *mmap(void *addr, size_t len, int prot, int flags, int fd, int64_t offset);
int madvise(void *addr, size_t len, int advice);
int pthread_mutex_trylock(void *mutex);
int pthread_mutex_timedlock(void *mutex, const bee_timespec *until);
int pthread_mutex_unlock(void *mutex);
int pthread_mutex_consistent(void *mutex);
]]

ffi.cdef(DECLARATIONS)
ffi.cdef('char **environ;')

-- Lua's own interface, which is in a library of its own: engine/interrupt opens it.
ffi.cdef [[
int lua_sethook(void *lua, void *hook, int mask, int count);
void *lua_gethook(void *lua);
]]

-- Look every function up now: LuaJIT gives up a trace that meets a name for the first time.
for name in DECLARATIONS:gmatch('[ *]([a-z][%w_]*)%(') do
  assert(ffi.C[name])
end

local sys = {
  C = ffi.C,

  EPOLL_CLOEXEC = 0x80000,
  EPOLL_CTL_ADD = 1,
  EPOLL_CTL_DEL = 2,
  EPOLL_CTL_MOD = 3,
  EPOLLIN = 1,
  EPOLLOUT = 4,
  EPOLLERR = 8,

  MSG_PEEK = 0x02,
  MSG_DONTWAIT = 0x40,
  MSG_NOSIGNAL = 0x4000,
  MSG_TRUNC = 0x20,
  MSG_CMSG_CLOEXEC = 0x40000000,
  SHUT_WR = 1,
  AF_UNIX = 1,
  AF_INET = 2,
  AF_INET6 = 10,
  SOCK_STREAM = 1,

  EINTR = 4,
  EBADF = 9,
  EAGAIN = 11,
  ENOTSOCK = 88,
  ENOBUFS = 105,

  CLOCK_REALTIME = 0,
  CLOCK_MONOTONIC = 1,
  CLOCK_PROCESS = 2,
  CLOCK_THREAD = 3,
  CLOCK_REALTIME_COARSE = 5,
  CLOCK_MONOTONIC_COARSE = 6,
}

local C = ffi.C
local MADV_DONTNEED = 4
local PROT_READ_WRITE = 3
local MAP_PRIVATE_ANONYMOUS_NORESERVE = 0x4022

local time = ffi.new('bee_timespec')

-- Seconds of a clock as a Lua number.
function sys.clock(which)
  C.clock_gettime(which, time)
  return tonumber(time.sec) + tonumber(time.nsec) * 1e-9
end

local AT_FDCWD, STATX_SIZE = -100, 0x200
local facts = ffi.new('bee_statx')

-- Open descriptors of this process; nil where the system only lists them. Linux 6.2 and newer say
-- it as the size of the folder.
function sys.descriptors()
  if C.statx(AT_FDCWD, '/proc/self/fd', 0, STATX_SIZE, facts) ~= 0 or facts.size == 0 then
    return nil
  end
  return tonumber(facts.size)
end

local POLLERR, POLLRDHUP = 0x8, 0x2000
local asked = ffi.new('bee_pollfd')

-- Whether the other end of the connection `fd` has ended it in good order, read or not.
function sys.is_ended(fd)
  asked.fd, asked.events, asked.came = fd, POLLRDHUP, 0
  C.poll(asked, 1, 0)
  return asked.came >= POLLRDHUP and asked.came % (2 * POLLERR) < POLLERR
end

-- Address space of `bytes`, pages come when they are touched; raises when the system refuses.
function sys.reserve(bytes)
  local address = C.mmap(nil, bytes, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS_NORESERVE, -1, 0)
  if ffi.cast('intptr_t', address) == -1 then
    error(('cannot reserve %d bytes of address space'):format(bytes), 0)
  end
  return ffi.cast('uint8_t *', address)
end

-- Give the pages of a reservation from byte `from` (a multiple of 4096) to byte `to` back.
function sys.discard(base, from, to)
  C.madvise(base + from, to - from, MADV_DONTNEED)
end

-- Zeroed memory for `count` values of a type, which stays for ever; a pointer. Other than a
-- structure, a pointer in an upvalue is a constant of compiled code: LuaJIT does not load it and
-- check its type each time.
function sys.lasting(name, count)
  return ffi.cast(name .. ' *', sys.reserve(ffi.sizeof(name) * count))
end

return sys
