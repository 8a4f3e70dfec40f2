-- Whether a session has lasted long enough: facts and times in, a decision out.
--
-- engine/lifetimes asks for every session that is due. Pure; no tables are made, since a worker may
-- have very many sessions.
--
--   idle    nothing came and nothing ran for that long           since the last request has ended
--   login   it never sent a whole request                        since it was greeted
--   age     it is as old as any session may get, jitter counted  since it was greeted
--
-- 0 seconds are no limit.

local shared = require('beespace.engine.table')

local max, min = math.max, math.min
local reasons = shared.reason
local IDLE, LOGIN_TIMEOUT, MAX_AGE = reasons.IDLE, reasons.LOGIN_TIMEOUT, reasons.MAX_AGE
-- The golden ratio: multiples of it fall evenly between whole numbers, however many there are.
local RATIO = (5 ^ 0.5 - 1) / 2

local expiry = {
  -- The session goes on, or begins nothing more and ends as soon as nothing runs for it.
  STAYS = 0,
  PARTS = -1,
  -- Seconds that what runs for a session has when its age is reached.
  GRACE = 10,
  -- Seconds until a session that parts is looked at again, and until any session is.
  SOON = 0.05,
  LATEST = 86400,
}

-- The age that a session may reach: between (1 - jitter) * most and most.
function expiry.span(id, most, jitter)
  return most * (1 - jitter * (id * RATIO % 1))
end

-- What becomes of a session: STAYS, PARTS or the reason of its end, and seconds until the next
-- look. `age` and `quiet` are seconds since it was greeted and since it was active last, `busy`
-- whether silence does not count now, `running` whether anything runs for it.
function expiry.judge(age, quiet, requests, busy, running, idle, login, span)
  local left = expiry.LATEST
  if span > 0 then
    if age >= span then
      if running and age < span + expiry.GRACE then
        return expiry.PARTS, expiry.SOON
      end
      return MAX_AGE, 0
    end
    left = min(left, span - age)
  end
  if login > 0 and requests == 0 and not running then
    if age >= login then
      return LOGIN_TIMEOUT, 0
    end
    left = min(left, login - age)
  end
  if idle > 0 then
    if quiet >= idle and not busy then
      return IDLE, 0
    end
    left = min(left, busy and idle or idle - quiet)
  end
  return expiry.STAYS, max(left, 0)
end

return expiry
