-- box.session.history([filter]): the sessions of all workers that have ended last, the newest
-- first.
--
-- A row for each, see engine/session_rows; filters are those of box.session.list where they make
-- sense, and `reason`. The last thousand or so of each worker are known, and as many whose worker
-- has died. One sees those of whom one may see sessions, see engine/sights. engine/main requires
-- this file.

local filters = require('beespace.engine.filters')
local history = require('beespace.engine.history')
local session = require('beespace.box.session')
local session_rows = require('beespace.engine.session_rows')
local sights = require('beespace.engine.sights')

local pairs = pairs

-- What it takes.
local TAKEN = {limit = true, order = session_rows.ended_keys}
for key in pairs(filters.ENDED) do
  TAKEN[key] = true
end

-- See the head of this file.
function session.history(filter)
  local plan = filters.plan('box.session.history', filter, TAKEN, sights.only_user('Read'))
  return history.rows(plan)
end

return session
