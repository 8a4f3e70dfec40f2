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
local sys = require('beespace.engine.sys')
local tallies = require('beespace.engine.tallies')
local user = require('beespace.engine.user')

local band = bit.band
local pcall, tonumber, tostring = pcall, tonumber, tostring
local st, cur = state.st, state.cur
local GUEST = state.GUEST
local CREDENTIALS = shared.reason.CREDENTIALS

local logins = {
  -- Whether sessions go on when their user gets another password.
  keep = false,
  -- Sessions that are logged in.
  count = 0,
  -- Called with the id of a session that is ended, since its login holds no longer; engine/endings
  -- sets it.
  stale = function(_) end,
}

-- By descriptor: 1 more than the serial number of the password that the session has logged in with,
-- which moves with every change of the password; 0: nobody has logged in.
local serials
-- Whether a fiber is about to end sessions.
local pending = false

-- Make room for descriptors below `limit`: address space, whose pages come when they are touched.
function logins.reserve(limit)
  serials = sys.lasting('uint32_t', limit)
end

local function store(fd, value)
  if serials[fd] ~= 0 then
    logins.count = logins.count - 1
  end
  if value ~= 0 then
    logins.count = logins.count + 1
  end
  serials[fd] = value
end

local function serial_of(uid)
  local found = catalog.principals[uid]
  return found ~= nil and uid ~= GUEST and found.serial + 1 or 0
end

-- Whether a login of the user `uid` with the password of this number still holds.
local function holds(uid, serial)
  if catalog.principals[uid] == nil
     or band(access.of(uid).universe, access.SESSION) == 0 then
    return false
  end
  return logins.keep or serial_of(uid) == serial
end

-- The session `id` has the user `uid` from now on.
function logins.note(id, uid)
  store(tonumber(shared.slots[id % shared.capacity].fd), serial_of(uid))
end

-- The session of the running code has the user `uid` for good, and so has the code; code without a
-- session has it until it ends. Raises when that user may have no more sessions.
function logins.become(uid)
  local id = cur.id
  local slot = shared.slots[id % shared.capacity]
  if id ~= 0 and slot.id == id then
    tallies.move(slot, uid)
  end
  if sessions.has_client() then
    logins.note(id, uid)
  end
  cur.uid, cur.euid = uid, uid
  cur.rights = user.rights_of(uid)
end

-- The running code has changed the catalog. A session that gives its own user another password goes
-- on.
function catalog.changed(operation, uid)
  if operation == 'set_password' and sessions.has_client() and serials[cur.fd] ~= 0
     and cur.uid == uid then
    logins.note(cur.id, uid)
  end
end

local function end_if_stale(id, slot)
  local fd = tonumber(slot.fd)
  local serial = serials[fd]
  if serial ~= 0 and not holds(tonumber(slot.uid), serial) then
    store(fd, 0)
    logins.stale(id)
    sessions.linger(fd, CREDENTIALS)
  end
end

local function end_stale()
  pending = false
  sessions.each(end_if_stale)
end

local function catalog_moved()
  if logins.count > 0 and not pending then
    pending = true
    fibers.start(end_stale)
  end
end
catalog.on_refresh(catalog_moved)

-- Look whether the catalog has moved; the loop calls it twice a second.
function logins.tick()
  if st.generation[0] == st.catalog then
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
  local fd = tonumber(shared.slots[id % shared.capacity].fd)
  if serials[fd] ~= 0 then
    store(fd, 0)
  end
end

return logins
