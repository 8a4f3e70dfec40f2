-- box.session.list, count, info and listener: sessions of all workers, as the table has them.
--
--   list([filter])      rows of those that fit, see engine/session_rows; by id unless the filter
--                       has an order
--   count([filter])     how many fit
--   info([id])          the row of one session, of the own one without an id; nil when it does not
--                       exist
--   listener([id])      URI of the listener it came over, 'new' for those of box.session.new
--
-- Filters: engine/filter_keys. What of the sessions of others one sees: engine/sights. No other
-- worker is asked. engine/main requires this file.

local filter_keys = require('beespace.engine.filter_keys')
local filters = require('beespace.engine.filters')
local glance = require('beespace.engine.glance')
local roster = require('beespace.engine.roster')
local session = require('beespace.box.session')
local session_rows = require('beespace.engine.session_rows')
local shared = require('beespace.engine.table')
local sights = require('beespace.engine.sights')
local state = require('beespace.engine.state')
local sys = require('beespace.engine.sys')

local pairs, select = pairs, select
local cur = state.cur

-- What each function takes.
local COUNTED = filters.SESSIONS
local LISTED = {limit = true, order = session_rows.keys, after = true}
for key in pairs(COUNTED) do
  LISTED[key] = true
end

-- See the head of this file.
function session.list(filter)
  return roster.rows(filters.plan('box.session.list', filter, LISTED, sights.only_user('Read')))
end

function session.count(filter)
  return roster.count(filters.plan('box.session.count', filter, COUNTED, sights.only_user('Read')))
end

-- The id that a function of this name was given, the own one without an argument.
local function id_of(what, ...)
  if select('#', ...) == 0 then
    return cur.id
  end
  return filter_keys.id(what, (...))
end

function session.info(...)
  local id = id_of('box.session.info', ...)
  if not glance.of(id) then
    return nil
  end
  local found = glance.copy
  sights.check('Read', id, found.uid)
  return session_rows.of(found, sys.clock(sys.CLOCK_REALTIME), sys.clock(sys.CLOCK_MONOTONIC))
end

function session.listener(...)
  local id = id_of('box.session.listener', ...)
  return glance.of(id) and shared.listener(glance.copy.listener) or nil
end

return session
