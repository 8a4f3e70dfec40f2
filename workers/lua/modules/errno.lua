-- Numbers of the system's errors: require('errno').
--
--   errno()              the number of the last system call that failed in this worker
--   errno(number)        the same, and sets it
--   errno.ENOENT, ...    the numbers by name; nil for a name that is none
--   errno.strerror([n])  what a number means, without one that of errno()

local ffi = require('ffi')
local sys = require('beespace.engine.sys')

local error, tonumber, type = error, tonumber, type
local floor = math.floor

local NUMBERS = [[
E2BIG 7 EACCES 13 EADDRINUSE 98 EADDRNOTAVAIL 99 EAFNOSUPPORT 97 EAGAIN 11 EALREADY 114 EBADF 9
EBADMSG 74 EBUSY 16 ECANCELED 125 ECHILD 10 ECONNABORTED 103 ECONNREFUSED 111 ECONNRESET 104
EDEADLK 35 EDESTADDRREQ 89 EDOM 33 EDQUOT 122 EEXIST 17 EFAULT 14 EFBIG 27 EHOSTUNREACH 113
EIDRM 43 EILSEQ 84 EINPROGRESS 115 EINTR 4 EINVAL 22 EIO 5 EISCONN 106 EISDIR 21 ELOOP 40
EMFILE 24 EMLINK 31 EMSGSIZE 90 EMULTIHOP 72 ENAMETOOLONG 36 ENETDOWN 100 ENETRESET 102
ENETUNREACH 101 ENFILE 23 ENOBUFS 105 ENODATA 61 ENODEV 19 ENOENT 2 ENOEXEC 8 ENOLCK 37
ENOLINK 67 ENOMEM 12 ENOMSG 42 ENOPROTOOPT 92 ENOSPC 28 ENOSR 63 ENOSTR 60 ENOSYS 38
ENOTCONN 107 ENOTDIR 20 ENOTEMPTY 39 ENOTSOCK 88 ENOTSUP 95 ENOTTY 25 ENXIO 6 EOPNOTSUPP 95
EOVERFLOW 75 EPERM 1 EPIPE 32 EPROTO 71 EPROTONOSUPPORT 93 EPROTOTYPE 91 ERANGE 34 EROFS 30
ESPIPE 29 ESRCH 3 ESTALE 116 ETIME 62 ETIMEDOUT 110 ETXTBSY 26 EWOULDBLOCK 11 EXDEV 18
]]

local constants = {}
for name, number in NUMBERS:gmatch('(%w+) (%d+)') do
  constants[name] = tonumber(number)
end

local function whole(value)
  local number = (type(value) == 'number' or type(value) == 'string') and tonumber(value)
  if not number then
    error(("errno: expected a number, got %s"):format(type(value)), 3)
  end
  return floor(number)
end

-- See the head of this file.
function constants.strerror(number)
  local code = number == nil and ffi.errno() or whole(number)
  return ffi.string(sys.C.strerror(code))
end

return setmetatable({}, {
  __index = constants,
  __call = function(_, ...)
    local number = ...
    if number == nil then
      return ffi.errno()
    end
    return ffi.errno(whole(number))
  end,
  __newindex = function()
    error("Can't create new errno constants", 2)
  end,
})
