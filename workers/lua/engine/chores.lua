-- What is due now and then, whatever the clients do. The loop calls tick() every SECONDS, between
-- two batches.

local arrears = require('beespace.engine.arrears')
local bridge = require('beespace.bridge')
local complaints = require('beespace.engine.complaints')
local elsewhere = require('beespace.engine.elsewhere')
local garbage = require('beespace.engine.garbage')
local health = require('beespace.engine.health')
local logins = require('beespace.engine.logins')
local pool = require('beespace.engine.pool')
local rates = require('beespace.engine.rates')
local sessions = require('beespace.engine.sessions')
local slow = require('beespace.engine.slow')
local state = require('beespace.engine.state')
local sys = require('beespace.engine.sys')
local witness = require('beespace.engine.witness')

-- Ticks that come to a second.
local TICKS = 2

local chores = {SECONDS = 1 / TICKS}

local ticks = 0

local function every_second(now)
  -- An answer that failed half-way has touched pages which nobody else gives back.
  sys.discard(state.output, state.KEEP, state.RESULT_LIMIT)
  complaints.tick()
  arrears.tick()
  local released = pool.shrink()
  if released > 0 then
    -- Each took a kilobyte and more, which nobody collects while nothing happens.
    collectgarbage('step', 2 * released)
  end
  if sessions.lost > 0 then
    bridge.log('error', ('%d connections lost: no free descriptors or memory in this worker')
      :format(sessions.lost))
    sessions.lost = 0
  end
  -- Where it costs to count them, and to wait for Python, they are counted when it may matter.
  local open = sys.descriptors() or 2 * sessions.count > sessions.limit and bridge.descriptors()
  if open then
    sessions.publish_own_fds(open)
  end
  health.publish()
  rates.tick(now)
  return health.needs_cure(now)
end

-- Do what is due at `now` of the monotonic clock; true when the traces should be made anew.
function chores.tick(now)
  logins.tick()
  sessions.sweep(now)
  elsewhere.tick()
  garbage.tick()
  slow.tick()
  witness.tick()
  ticks = (ticks + 1) % TICKS
  return ticks == 0 and every_second(now)
end

return chores
