-- How many requests of a worker may wait: past the limit no session is read, and all have turns.
--
--   engine/flight: one more waits --> counted() --> the limit is reached: its session is in line
--   the loop: a session has input --> hold()    --> somebody is in line: so is this one, at the end
--   the loop, once a turn         --> turn()    --> room for a quarter of the limit: those in line
--                                                   are read again, the first one first, each for
--                                                   its share of the room
--
-- A session of the control socket is read always. Consoles are, too: they have one statement each.

local output = require('beespace.engine.output')
local sessions = require('beespace.engine.sessions')
local shared = require('beespace.engine.table')
local state = require('beespace.engine.state')

local floor, max = math.floor, math.max
local st = state.st
-- Part of the limit below which sessions are read again.
local LOW = 3 / 4

local turnstile = {
  -- Requests of this worker that may wait.
  limit = 65536,
}

-- Descriptors and generations of the sessions in line.
local fds, generations, first, last = {}, {}, 1, 0
-- Requests that a session which has had its turn may let wait yet, by descriptor.
local shares = {}

local function is_exempt(fd)
  return shared.of_control(shared.slots[sessions.all[fd].slot])
end

-- Put the session on `fd` in line: it is not read until its turn comes.
local function line_up(fd)
  st.full = 1
  shares[fd] = nil
  last = last + 1
  fds[last], generations[last] = fd, sessions.all[fd].generation
  output.hold(fd, true)
end

-- One more request of the session on `fd` waits, `total` in all: true when it is in line now.
function turnstile.counted(fd, total)
  if total < turnstile.limit and st.full == 0 or is_exempt(fd) then
    return false
  end
  local share = shares[fd]
  if share ~= nil and share > 1 and total < turnstile.limit then
    shares[fd] = share - 1
    return false
  end
  line_up(fd)
  return true
end

-- Whether the session on `fd`, which has input, must line up; called while st.full is not 0.
function turnstile.hold(fd)
  if shares[fd] ~= nil or is_exempt(fd) then
    return false
  end
  line_up(fd)
  return true
end

-- Let those have their turns for whom there is room, while `total` requests wait; `read_on` is
-- called for each that can be read again. When nobody came back into line since the last time, all
-- sessions are read as they come.
function turnstile.turn(total, read_on)
  local limit = turnstile.limit
  if first > last then
    if total < limit then
      first, last, shares = 1, 0, {}
      st.full = 0
    end
    return
  elseif total > limit * LOW then
    return
  end
  local room = limit - total
  local share = max(1, floor(room / (last - first + 1)))
  while first <= last and room > 0 do
    local fd, generation = fds[first], generations[first]
    fds[first], generations[first] = nil, nil
    first = first + 1
    local session = sessions.all[fd]
    if session.id ~= 0 and session.generation == generation then
      shares[fd] = share
      room = room - share
      if output.hold(fd, false) then
        read_on(fd)
      end
    end
  end
end

return turnstile
