-- What a batch comes to: its counters go to the session's and the worker's figures.
--
-- The request handlers count in the state; the loop publishes when a batch ends, before it sends
-- the answers: a worker that dies then has counted all that its clients saw. That is also the time
-- of the session's last request: code that runs for long is no silence of its client. And it is
-- the earliest time that the next request begins, see engine/slow.

local sessions = require('beespace.engine.sessions')
local shared = require('beespace.engine.table')
local state = require('beespace.engine.state')
local sys = require('beespace.engine.sys')

local clock = sys.clock
local CLOCK = sys.CLOCK_MONOTONIC_COARSE
local st = state.st

local figures = {}

-- Add the counters of this batch to the session's and the worker's figures.
function figures.publish(fd)
  local pings, calls, evals = st.pings, st.calls, st.evals
  local selects, auths, others, failed = st.selects, st.auths, st.others, st.errors
  local all = pings + calls + evals + selects + auths + others
  local session = sessions.all[fd]
  if session.id ~= 0 then
    local slot = shared.slots[session.slot]
    slot.requests = slot.requests + all
    local now = clock(CLOCK)
    slot.last_request, st.mark = now, now
  end
  local row = shared.row
  row.requests = row.requests + all
  row.pings = row.pings + pings
  row.calls = row.calls + calls
  row.evals = row.evals + evals
  row.selects = row.selects + selects
  row.auths = row.auths + auths
  row.others = row.others + others
  row.errors = row.errors + failed
  row.protocol_errors = row.protocol_errors + st.bad
  st.pings, st.calls, st.evals, st.selects = 0, 0, 0, 0
  st.auths, st.others, st.errors, st.bad = 0, 0, 0, 0
end

return figures
