-- New connections: batches of descriptors from the acceptor become sessions.
--
-- The loop calls receive() when the intake channel is readable, and then next() once for each
-- connection of the batch: a new connection is a step of the loop like any other, so LuaJIT
-- compiles it. One message is one batch: session ids as 64-bit integers, and as many descriptors
-- in the same order. A connection is greeted at once, unless functions of on_connect come first;
-- one that came by a console listener becomes a console. What engine/adoption has offered comes
-- back alone.

local ffi = require('ffi')
local bit = require('bit')
local adoption = require('beespace.engine.adoption')
local greeting = require('beespace.engine.greeting')
local sessions = require('beespace.engine.sessions')
local shared = require('beespace.engine.table')
local state = require('beespace.engine.state')
local sys = require('beespace.engine.sys')
local triggers = require('beespace.engine.triggers')

local C = sys.C
local cast = ffi.cast
local floor, tonumber = math.floor, tonumber
local count = triggers.count
local st = state.st
local CONSOLE = sessions.CONSOLE
local SEND_FLAGS = sys.MSG_DONTWAIT + sys.MSG_NOSIGNAL
local RECEIVE_FLAGS = bit.bor(sys.MSG_DONTWAIT, sys.MSG_CMSG_CLOEXEC)

-- SCM_MAX_FD of the kernel.
local MAX_BATCH = 253
-- struct cmsghdr: length, level, type.
local CONTROL_HEAD = 16

local ON_CONNECT = 'box.session.on_connect'

local CONTROL_BYTES = CONTROL_HEAD + 4 * MAX_BATCH + 8

local ids = ffi.new('uint64_t[?]', MAX_BATCH)
local control = ffi.new('uint8_t[?]', CONTROL_BYTES)
local vector = ffi.new('bee_iovec', {ids, 8 * MAX_BATCH})
local message = ffi.new('bee_msghdr', {iov = vector, iov_len = 1, control = control})

local fds = cast('int *', control + CONTROL_HEAD)

local intake = {
  -- Kept referenced: the pointer in `message` does not keep it alive.
  vector = vector,
  -- Called instead of greet() when on_connect has functions; engine/visits sets it.
  welcome = function(_, _) end,
  -- Called with id and descriptor of a new session of type console; engine/consoles sets it.
  console = function(_, _) end,
}

-- Read one batch from the channel `fd`; false when the other end is gone for good.
function intake.receive(fd)
  message.control_len = CONTROL_BYTES
  local received = tonumber(C.recvmsg(fd, message, RECEIVE_FLAGS))
  if received < 0 then
    local errno = ffi.errno()
    return errno == sys.EAGAIN or errno == sys.EINTR
  elseif received == 0 then
    return false
  end
  if ids[0] == 0 then
    -- One that this worker has offered: 0, the id, the number of the offer.
    adoption.accept(tonumber(ids[2]))
    ids[0] = ids[1]
    received = 8
  end
  local used = tonumber(message.control_len) >= CONTROL_HEAD
    and tonumber(cast('size_t *', control)[0]) - CONTROL_HEAD or 0
  local came = floor(math.min(used / 4, received / 8))
  -- The system drops descriptors that this process may not have any more.
  for index = came, received / 8 - 1 do
    sessions.lose(tonumber(ids[index]))
  end
  st.came, st.taken = came, 0
  return true
end

-- Send the greeting to the client of the session `id`, on `fd`; false when it cannot be sent.
function intake.greet(id, fd)
  greeting.salt(shared.slots[id % shared.capacity].salt)
  if tonumber(C.send(fd, greeting.bytes, greeting.SIZE, SEND_FLAGS)) ~= greeting.SIZE then
    sessions.close(fd, shared.reason.ERROR)
    return false
  end
  return true
end

local greet = intake.greet

-- Open and greet the next connection of the batch.
function intake.next()
  local index = st.taken
  st.taken = index + 1
  local id, fd = tonumber(ids[index]), fds[index]
  if not sessions.open(id, fd) then
    C.close(fd)
    return
  end
  if sessions.all[fd].mode == CONSOLE then
    intake.console(id, fd)
  elseif count(ON_CONNECT) ~= 0 and not shared.of_control(shared.slots[id % shared.capacity]) then
    intake.welcome(id, fd)
  else
    greet(id, fd)
  end
  if st.rehearsal == 0 then
    sessions.came(id)
  end
end

return intake
