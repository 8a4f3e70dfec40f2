-- Whose session it is and whose rights the running code has.
--
--   slot.uid   the session's user; engine/logins changes it, for AUTH and su    (shared table)
--   cur.uid    the same for the code that runs now
--   cur.euid   the user whose rights apply: cur.uid, or another one while code runs by as()
--   cur.su     how many as() are around the running code
--   cur.rights 1 when the user of the request may call and evaluate everything
--
-- The loop calls enter() and leave() around a batch, fibers calls go_on() after each wait. Requests
-- of a session that wait while it gets another user go on as that user, outside of as().

local sessions = require('beespace.engine.sessions')
local shared = require('beespace.engine.table')
local state = require('beespace.engine.state')

local error, pcall, tonumber = error, pcall, tonumber
local ADMIN = state.ADMIN
local cur = state.cur

local user = {
  -- 1 when a user may call and evaluate everything, else 0.
  rights_of = function(_) return 1 end,
}

-- The session on `fd` is the one whose code runs from now on.
function user.enter(fd)
  local session = sessions.all[fd]
  local uid = tonumber(shared.slots[session.slot].uid)
  cur.id, cur.fd = session.id, fd
  cur.uid, cur.euid, cur.su = uid, uid, 0
  cur.rights = user.rights_of(uid)
end

-- Code without a session runs from now on, with the rights of user `uid`.
function user.begin(uid)
  cur.id, cur.fd = 0, -1
  cur.uid, cur.euid, cur.su = uid, uid, 0
end

-- No request's code runs from now on: what runs is the server's own.
function user.leave()
  user.begin(ADMIN)
end

-- Code of the session `id`, which had these users before it waited, goes on.
function user.go_on(id, uid, euid, su)
  local slot = shared.slots[id % shared.capacity]
  if id ~= 0 and slot.id == id then
    uid = tonumber(slot.uid)
    euid = su == 0 and uid or euid
  end
  cur.uid, cur.euid, cur.su = uid, euid, su
end

local function back(uid, euid, su, ok, ...)
  user.go_on(cur.id, uid, euid, su)
  if not ok then
    error((...), 0)
  end
  return ...
end

-- What `func(...)` returns, run with the rights of user `uid`; an error is raised unchanged.
function user.as(uid, func, ...)
  local own, euid, su = cur.uid, cur.euid, cur.su
  cur.euid, cur.su = uid, su + 1
  return back(own, euid, su, pcall(func, ...))
end

return user
