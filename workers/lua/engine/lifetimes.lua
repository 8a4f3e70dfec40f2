-- The end of sessions that were silent for too long, never asked for anything, or are too old.
--
--   sessions.opened --> due[fd] = the first time that the session is worth a look
--   the loop --> sweep(): a walk over `due`; what is due is looked at
--                  engine/expiry: stays --> due[fd] = the next time
--                                 parts --> not read any more, looked at again soon
--                                 ends  --> a line of the log, closed
--   engine/auth --> renew(), settings that change --> changed(): looked at in the next sweep
--
-- What a request does leaves `due` alone: a session that was busy meanwhile is looked at for
-- nothing, once in a timeout. A walk over 60,000 sessions of which none is due takes 0.1 ms; it is
-- made in slices, and rarely enough to take about a thousandth of the time. Consoles and sessions
-- of the control socket have no limits: a person may think, and there must be a way in.

local bit = require('bit')
local complaints = require('beespace.engine.complaints')
local expiry = require('beespace.engine.expiry')
local ffi = require('ffi')
local idle = require('beespace.engine.idle')
local output = require('beespace.engine.output')
local sessions = require('beespace.engine.sessions')
local shared = require('beespace.engine.table')
local state = require('beespace.engine.state')
local sys = require('beespace.engine.sys')

local C = sys.C
local band, tobit = bit.band, bit.tobit
local ceil, floor, max, min = math.ceil, math.floor, math.max, math.min
local tonumber = tonumber
local judge, span_of = expiry.judge, expiry.span
local STAYS, PARTS = expiry.STAYS, expiry.PARTS
local reasons = shared.reason
local MODE = sessions.REQUESTS
local ARRIVING, HELD = sessions.STOPPED.ARRIVING, sessions.STOPPED.HELD
local REQUESTS = sessions.STOPPED.REQUESTS
local PEEK = sys.MSG_PEEK + sys.MSG_DONTWAIT
local st, FOREVER = state.st, state.FOREVER
-- Values of a time in `due`, hundredths of a second. Times are compared by their difference, which
-- is less than half of that.
local WORD = 2 ^ 32
local NEVER = 2 ^ 31
-- Seconds between two looks at a session that was not greeted yet, and at one that was not read.
local LATER, UNREAD = 5, 1
-- Of one slice: descriptors, sessions that are looked at, sessions that are ended. Seconds until
-- the next slice; at the end of a walk until the next walk, and for each descriptor besides.
local SLICE, LOOKS, ENDS = 65536, 4000, 200
local BREATH, PAUSE, PAUSE_EACH = 0.005, 0.02, 2e-6

local lifetimes = {
  -- Seconds, 0: no limit.
  login = 0,
  age = 0,
  -- Part of `age` by which sessions may end earlier, so that not all end at once.
  jitter = 0,
}

-- By descriptor: when the session is to be looked at, 0: never; how long it may be idle; whose
-- timeout that is.
local due, idle_for, users
local peeked = ffi.new('uint8_t[1]')
-- Where the walk is, the last descriptor that it goes to, the earliest time that it has found.
local at, top, soonest = 0, -1, NEVER
-- When the next walk may begin.
local next_walk = 0

-- Make room for descriptors below `limit`: address space, whose pages come when they are touched.
function lifetimes.reserve(limit)
  due = sys.lasting('uint32_t', limit)
  idle_for = sys.lasting('float', limit)
  users = sys.lasting('uint32_t', limit)
end

-- Whether a session has limits at all.
local function is_limited(session)
  return session.mode == MODE and not shared.of_control(shared.slots[session.slot])
end

-- Look at the session on `fd` in some seconds.
local function look_in(fd, seconds, now)
  local time = ceil((now + seconds) * 100) % WORD
  due[fd] = time == 0 and 1 or time
  top = max(top, fd)
  soonest = min(soonest, seconds * 100)
  st.next_sweep = min(st.next_sweep, max(now + seconds, next_walk))
end

-- The session on `fd` may be idle for as long as the user `uid`.
local function set_user(fd, uid)
  if users[fd] ~= uid then
    users[fd] = uid
  end
  local seconds = idle.of(uid)
  if idle_for[fd] ~= seconds then
    idle_for[fd] = seconds
  end
end

-- The session on `fd` has logged in as user `uid`.
function lifetimes.renew(fd, uid)
  if is_limited(sessions.all[fd]) then
    set_user(fd, uid)
    if idle_for[fd] > 0 then
      look_in(fd, 0, sys.clock(sys.CLOCK_MONOTONIC))
    end
  end
end

-- Seconds until a new session is worth a look, NEVER when it has no limits.
local function first_look(fd, id)
  local first = NEVER
  if lifetimes.login > 0 then
    first = lifetimes.login
  end
  if lifetimes.age > 0 then
    first = min(first, span_of(id, lifetimes.age, lifetimes.jitter))
  end
  if idle_for[fd] > 0 then
    first = min(first, idle_for[fd])
  end
  return min(first, first == NEVER and NEVER or expiry.LATEST)
end

function sessions.opened(fd)
  if st.rehearsal ~= 0 then
    return
  end
  local session = sessions.all[fd]
  if not is_limited(session) then
    if due[fd] ~= 0 then
      due[fd] = 0
    end
    return
  end
  set_user(fd, tonumber(shared.slots[session.slot].uid))
  local first = first_look(fd, session.id)
  if first < NEVER then
    look_in(fd, first, sys.clock(sys.CLOCK_MONOTONIC))
  elseif due[fd] ~= 0 then
    due[fd] = 0
  end
end

-- The settings have changed: sessions that are there follow.
function lifetimes.changed()
  local now = sys.clock(sys.CLOCK_MONOTONIC)
  sessions.each(function(_, slot)
    local fd = tonumber(slot.fd)
    if is_limited(sessions.all[fd]) then
      set_user(fd, users[fd])
      look_in(fd, 0, now)
    end
  end)
end

local WHY = {
  [reasons.IDLE] = function(fd)
    return ('idle for %g second(s)'):format(idle_for[fd])
  end,
  [reasons.LOGIN_TIMEOUT] = function()
    return ('no request within %g second(s)'):format(lifetimes.login)
  end,
  [reasons.MAX_AGE] = function()
    return ('session.max_age is %g second(s)'):format(lifetimes.age)
  end,
}

local function finish(fd, id, reason)
  complaints.closing(id, shared.peer(id) or '?', WHY[reason](fd))
  if reason == reasons.MAX_AGE then
    -- Its last answer may still be on its way.
    sessions.linger(fd, reason)
  else
    sessions.close(fd, reason)
  end
end

-- Whether bytes of the client wait in the socket, since this worker had no time to read them, or no
-- room for more requests: then it was not the client who was silent.
local function is_unread(fd)
  return C.recv(fd, peeked, 1, PEEK) > 0
end

-- Look at the session on `fd`: hundredths of a second until it is due again, NEVER when it is not;
-- whether it has ended.
local function look(fd, now)
  local session = sessions.all[fd]
  due[fd] = 0
  if session.id == 0 or session.mode ~= MODE then
    return NEVER, false
  elseif session.stopped >= ARRIVING then
    look_in(fd, LATER, now)
    return LATER * 100, false
  end
  local slot = shared.slots[session.slot]
  local age = (floor(now * 100) - slot.opened) % WORD / 100
  local last, running = slot.last_request, session.in_flight > 0
  local quiet = last > 0 and min(age, max(now - last, 0)) or age
  local busy = running or band(session.stopped, REQUESTS + HELD) ~= 0
  local decision, seconds = judge(age, quiet, tonumber(slot.requests), busy, running, idle_for[fd],
    lifetimes.login, span_of(session.id, lifetimes.age, lifetimes.jitter))
  if (decision == reasons.IDLE or decision == reasons.LOGIN_TIMEOUT) and is_unread(fd) then
    decision, seconds = STAYS, UNREAD
  end
  if decision > STAYS then
    finish(fd, session.id, decision)
    return NEVER, true
  elseif decision == PARTS then
    output.part(fd)
  end
  look_in(fd, seconds, now)
  return seconds * 100, false
end

-- Walk on from `at` to the end, or until the slice is used up; whether that was the end.
local function walk(now)
  local time = floor(now * 100) % WORD
  local stop, looks, ends = min(at + SLICE, top + 1), LOOKS, ENDS
  local fd = at
  while fd < stop and looks > 0 and ends > 0 do
    local when = due[fd]
    if when ~= 0 then
      local left = tobit(when - time)
      if left <= 0 then
        local ended
        left, ended = look(fd, now)
        looks = looks - 1
        ends = ended and ends - 1 or ends
      end
      soonest = min(soonest, left)
    end
    fd = fd + 1
  end
  at = fd
  return fd > top
end

-- Look after the sessions that are due at `now` of the monotonic clock; the loop calls it at
-- st.next_sweep.
function lifetimes.sweep(now)
  if not walk(now) then
    st.next_sweep = now + BREATH
    return
  end
  next_walk = now + PAUSE + top * PAUSE_EACH
  st.next_sweep = soonest < NEVER and max(now + soonest / 100, next_walk) or FOREVER
  at, soonest = 0, NEVER
end

return lifetimes
