-- Whose sessions the running code may see ('Read') or end ('Write'): everybody's with that right on
-- sessions, as admin and role super have it, else those of its effective user, and its own session.
--
-- box/session_list and box/session_history ask for the first, what ends sessions for the second.
-- That a session exists, its address and its listener are told to everybody.

local access = require('beespace.engine.access')
local catalog = require('beespace.engine.catalog')
local state = require('beespace.engine.state')

local cur = state.cur
local MASKS = {Read = access.READ, Write = access.WRITE}

local sights = {}

local function everybody(right)
  catalog.refresh()
  return access.has(cur.euid, MASKS[right], 'session')
end

-- The only user whose sessions the right covers, nil when it covers all.
function sights.only_user(right)
  if everybody(right) then
    return nil
  end
  return cur.euid
end

-- Refuse unless the right covers the session `id`, which is the user's of this number.
function sights.check(right, id, uid)
  if id ~= cur.id and uid ~= cur.euid and not everybody(right) then
    access.denied(right, 'session', ('%.0f'):format(id))
  end
end

return sights
