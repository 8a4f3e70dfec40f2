-- Who is logged in with which password, and the end of sessions whose login holds no longer.
--
-- engine/auth and box.session.su give sessions their users by become(), box.session.new says by
-- note() which ones have theirs from the start. When the catalog has moved, the sessions of users
-- who were dropped, may have no sessions any more, or got another password are ended: in a fiber,
-- so that what the batch at hand answers is sent before. The catalog is looked at twice a second,
-- and when another worker says that it has changed it.
--
-- Sessions of guest have not logged in, so there is nothing to end.

local bit = require('bit')
local access = require('beespace.engine.access')
local bridge = require('beespace.bridge')
local catalog = require('beespace.engine.catalog')
local fibers = require('beespace.engine.fibers')
local sessions = require('beespace.engine.sessions')
local shared = require('beespace.engine.table')
local state = require('beespace.engine.state')
local user = require('beespace.engine.user')

local band = bit.band
local next, pairs, pcall, tonumber, tostring = next, pairs, pcall, tonumber, tostring
local st, cur = state.st, state.cur
local GUEST = state.GUEST
local CREDENTIALS = shared.reason.CREDENTIALS

local logins = {
  -- Whether sessions go on when their user gets another password.
  keep = false,
}

-- Serial number of the password by session id, for sessions that are not guest's. The number moves
-- with every change of the password.
local serials = {}
-- Whether a fiber is about to end sessions.
local pending = false

-- Whether a login of the user `uid` with the password of this number still holds.
local function holds(uid, serial)
  local found = catalog.principals[uid]
  if found == nil or band(access.of(uid).universe, access.SESSION) == 0 then
    return false
  end
  return logins.keep or found.serial == serial
end

-- The session `id` has the user `uid` from now on.
function logins.note(id, uid)
  local found = catalog.principals[uid]
  serials[id] = uid ~= GUEST and found ~= nil and found.serial or nil
end

-- The session of the running code has the user `uid` for good, and so has the code; code without a
-- session has it until it ends.
function logins.become(uid)
  local id = cur.id
  local slot = shared.slots[id % shared.capacity]
  if id ~= 0 and slot.id == id then
    slot.uid = uid
  end
  if sessions.has_client() then
    logins.note(id, uid)
  end
  cur.uid, cur.euid = uid, uid
  cur.rights = user.rights_of(uid)
end

-- The running code has changed the password of `uid`: when that is its session's user, the session
-- goes on.
function logins.renew(uid)
  local found = catalog.principals[uid]
  if serials[cur.id] ~= nil and cur.uid == uid and found ~= nil then
    serials[cur.id] = found.serial
  end
end

local function end_stale()
  pending = false
  for id, serial in pairs(serials) do
    local slot = shared.slots[id % shared.capacity]
    if slot.id == id and not holds(tonumber(slot.uid), serial) then
      local fd = tonumber(slot.fd)
      serials[id] = nil
      if sessions.all[fd].id == id then
        sessions.linger(fd, CREDENTIALS)
      end
    end
  end
end

local function catalog_moved()
  if not pending and next(serials) ~= nil then
    pending = true
    fibers.start(end_stale)
  end
end
catalog.on_refresh(catalog_moved)

-- Look whether the catalog has moved; the loop calls it twice a second.
function logins.tick()
  if st.generation == nil or st.generation[0] == st.catalog then
    return
  end
  local ok, raised = pcall(catalog.refresh)
  if not ok then
    bridge.log('error', 'users and rights were not read: ' .. tostring(raised))
  end
end

local left = sessions.left
function sessions.left(id)
  left(id)
  if serials[id] ~= nil then
    serials[id] = nil
  end
end

return logins
