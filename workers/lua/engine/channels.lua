-- Descriptors of the poll set that are no sessions, and who attends to them.
--
-- Called by engine/main, engine/bus and the warm-up to add and drop them, and by the loop when an
-- event is no session's. The poll set is made when this file is loaded.

local ffi = require('ffi')
local state = require('beespace.engine.state')
local sys = require('beespace.engine.sys')

local C = sys.C
local st = state.st

st.poll = C.epoll_create1(sys.EPOLL_CLOEXEC)

local channels = {}

local attendants = {}
local event = ffi.new('bee_epoll_event')

-- Let `attend` be called with the descriptor when it is readable, or when one of `interest` (a mask
-- of the poll set) is true of it.
function channels.add_channel(fd, attend, interest)
  attendants[fd] = attend
  event.events = interest or sys.EPOLLIN
  event.data = fd
  C.epoll_ctl(st.poll, sys.EPOLL_CTL_ADD, fd, event)
end

-- Forget a descriptor.
function channels.drop_channel(fd)
  attendants[fd] = nil
  C.epoll_ctl(st.poll, sys.EPOLL_CTL_DEL, fd, event)
end

-- Attend to a descriptor; false when it is no channel.
function channels.attend(fd)
  local attend = attendants[fd]
  if attend == nil then
    return false
  end
  attend(fd)
  return true
end

return channels
