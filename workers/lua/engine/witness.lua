-- The access log: a line for a share of the requests, log.access.
--
--   engine/override, which every packet passes while there is a share
--     --> is_due()  --> follow(): executed once more from its head, with a clock and a pcall around
--   engine/consoles --> statement()
--
-- Without a share packets do not come here, so nothing of it costs anything. A request that waits
-- is waited for where it is executed, so its line comes when it is over.

local asked = require('beespace.engine.asked')
local bridge = require('beespace.bridge')
local catalog = require('beespace.engine.catalog')
local decode = require('beespace.engine.decode')
local errors = require('beespace.box.error')
local flight = require('beespace.engine.flight')
local shared = require('beespace.engine.table')
local state = require('beespace.engine.state')
local sys = require('beespace.engine.sys')

local error, pcall = error, pcall
local clock, CLOCK = sys.clock, sys.CLOCK_MONOTONIC
local st, cur = state.st, state.cur
local INVALID_MSGPACK = 20
-- Lines between two ticks.
local MOST = 500
-- A generator of pseudorandom numbers of our own: the application may have seeded Lua's.
local MULTIPLIER, MODULUS = 16807, 2147483647

local witness = {}

local share, dice = 0, 1
-- True while the packet is executed that is followed already.
local followed = false
local said, unsaid = 0, 0

-- Log this part of the requests, 0: none.
function witness.set(value)
  local before = share > 0 and 1 or 0
  share = value
  st.overrides = st.overrides - before + (share > 0 and 1 or 0)
  dice = clock(CLOCK) * 1e6 % (MODULUS - 1) + 1
  dice = dice - dice % 1
end

local function is_chosen()
  dice = dice * MULTIPLIER % MODULUS
  return dice <= share * MODULUS
end

-- Whether the packet that is executed is to be followed.
function witness.is_due()
  if share == 0 or st.rehearsal ~= 0 then
    return false
  elseif followed then
    followed = false
    return false
  end
  return is_chosen()
end

local function code_of(raised)
  return raised == decode.BAD and INVALID_MSGPACK or errors.from(raised).code
end

local function write(id, uid, peer, request, began, outcome)
  if said >= MOST then
    unsaid = unsaid + 1
    return
  end
  said = said + 1
  local user = catalog.principals[uid]
  bridge.log_request('info', 'request', id, user and user.name, peer, request, clock(CLOCK) - began,
    outcome)
end

-- Execute the packet input[i .. st.i) and log it; as engine/request does it.
function witness.follow(i)
  local began, id, fd, uid = clock(CLOCK), cur.id, cur.fd, cur.uid
  local peer = shared.peer(id)
  local known, kind, text = pcall(asked.packet, i, st.i)
  local request = known and asked.words(kind, text) or 'a request'
  if st.stream ~= 0 and st.away == 0 then
    -- It is counted once more.
    shared.row.streams_ever = shared.row.streams_ever - 1
  end
  followed = true
  local ok, w = pcall(flight.execute, i)
  followed = false
  if cur.id == id and cur.fd == fd then
    -- After a login it is the new user's.
    uid = cur.uid
  end
  write(id, uid, peer, request, began, ok and 'ok' or 'error ' .. code_of(w))
  if not ok then
    error(w, 0)
  end
  return w
end

-- The session's console has executed a statement, which began at `began`.
function witness.statement(line, began)
  if share > 0 and is_chosen() then
    write(cur.id, cur.uid, shared.peer(cur.id), 'console: ' .. state.short(line), began)
  end
end

-- Say how many lines were not written; called now and then.
function witness.tick()
  if unsaid > 0 then
    bridge.log('info', ('%d more requests'):format(unsaid))
  end
  said, unsaid = 0, 0
end

return witness
