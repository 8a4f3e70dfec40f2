-- Sessions on descriptors that this worker has already: box.session.new.
--
--   offer() --number, descriptor--> acceptor: id and slot --0, id, number, descriptor--> intake
--                                                                            |
--     user and storage of that number <-- sessions.open <------------------- accept()
--
-- Only the acceptor gives out ids, so the descriptor goes there and comes back. Answers come in the
-- order of the offers: what an acceptor that died took with it is forgotten at the next answer.

local ffi = require('ffi')
local bit = require('bit')
local sessions = require('beespace.engine.sessions')
local state = require('beespace.engine.state')
local sys = require('beespace.engine.sys')

local C = sys.C
local FLAGS = bit.bor(sys.MSG_DONTWAIT, sys.MSG_NOSIGNAL)
local SOL_SOCKET, SCM_RIGHTS = 1, 1
-- struct cmsghdr with one descriptor: without and with the padding behind it.
local CONTROL_LENGTH, CONTROL_BYTES = 20, 24

local channel = -1
-- Descriptors that are the worker's own.
local own = {[0] = true, [1] = true, [2] = true}

-- Offers without an answer by number: {uid =, storage =}; the one whose session comes now.
local pending, coming = {}, nil
local last_number = 0

local number_sent = ffi.new('uint64_t[1]')
local control = ffi.new('uint8_t[?]', CONTROL_BYTES)
local vector = ffi.new('bee_iovec', {number_sent, 8})
local message = ffi.new('bee_msghdr', {iov = vector, iov_len = 1, control = control})

ffi.cast('size_t *', control)[0] = CONTROL_LENGTH
ffi.cast('int *', control + 8)[0] = SOL_SOCKET
ffi.cast('int *', control + 12)[0] = SCM_RIGHTS
local descriptor = ffi.cast('int *', control + 16)

local adoption = {
  -- Kept referenced: the pointers in `message` do not keep them alive.
  kept = {vector, control, number_sent},
  -- Called with the id of such a session when it is opened, the user it is to have, and its storage
  -- or nil; returns the user it has. box/session_new sets it.
  opened = function(_, uid, _) return uid end,
}

-- Use the intake channel `fd`; it and the `others` (a list) are no descriptors of applications.
function adoption.attach(fd, others)
  channel = fd
  own[fd], own[state.st.poll] = true, true
  for _, other in ipairs(others) do
    own[other] = true
  end
end

-- Whether a descriptor is in use by the worker itself, or is that of a session or of one that has
-- just ended.
function adoption.is_taken(fd)
  return own[fd] == true or sessions.has_remains(fd)
    or fd < sessions.limit and sessions.all[fd].id ~= 0
end

-- A socket in the place of one that is none: whatever is done with it fails.
local function broken_socket(fd)
  if C.send(fd, number_sent, 0, FLAGS) < 0 then
    local errno = ffi.errno()
    if errno == sys.EBADF or errno == sys.ENOTSOCK then
      return C.socket(sys.AF_UNIX, sys.SOCK_STREAM, 0)
    end
  end
  return -1
end

-- Let a descriptor become a session of user `uid`, with a storage unless it is nil. The descriptor
-- is used up. False when the acceptor does not read now: then nothing has happened.
function adoption.offer(fd, uid, storage)
  local substitute = broken_socket(fd)
  number_sent[0] = last_number + 1
  descriptor[0] = substitute >= 0 and substitute or fd
  message.control_len = CONTROL_BYTES
  local sent = C.sendmsg(channel, message, FLAGS)
  if substitute >= 0 then
    C.close(substitute)
  end
  if sent < 0 then
    return false
  end
  last_number = last_number + 1
  pending[last_number] = {uid = uid, storage = storage}
  if substitute < 0 then
    C.close(fd)
  end
  return true
end

-- The session of an offer is the next one that is opened.
function adoption.accept(number)
  coming = pending[number]
  for other in pairs(pending) do
    if other <= number then
      pending[other] = nil
    end
  end
end

-- The user of the session `id`, which is being opened.
function sessions.adopted(id)
  local offer = coming
  coming = nil
  if offer == nil then
    return state.GUEST
  end
  return adoption.opened(id, offer.uid, offer.storage)
end

return adoption
