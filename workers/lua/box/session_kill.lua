-- box.session.kill and cancel: the end of sessions of any worker, or of what runs for them.
--
--   kill(which[, {timeout =}])     their clients are cut off; how many sessions that were
--   cancel(which[, {timeout =}])   their requests end with an error; how many sessions there were
--
-- `which` is the id of a session, or a filter (engine/filter_keys) that tells some sessions from
-- others. What is asked for is written down as orders (engine/orders) that the sessions' workers
-- carry out, also while their loops are busy; here it is waited for. The caller's own session comes
-- last. Whose sessions one may end: engine/sights.

local access = require('beespace.engine.access')
local arguments = require('beespace.engine.arguments')
local bus = require('beespace.engine.bus')
local closing = require('beespace.engine.closing')
local errors = require('beespace.box.error')
local fibers = require('beespace.engine.fibers')
local filter_keys = require('beespace.engine.filter_keys')
local filters = require('beespace.engine.filters')
local log = require('log')
local orders = require('beespace.engine.orders')
local roster = require('beespace.engine.roster')
local session = require('beespace.box.session')
local session_rows = require('beespace.engine.session_rows')
local shared = require('beespace.engine.table')
local sights = require('beespace.engine.sights')
local state = require('beespace.engine.state')

local error, ipairs, min, next, pairs = error, ipairs, math.min, next, pairs
local tonumber, type = tonumber, type
local refuse, shown = arguments.refuse, arguments.shown
local clock, suspend = fibers.clock, fibers.suspend
local cur = state.cur
local CANCEL, KILL = orders.CANCEL, orders.KILL
local CLAIMED = shared.CLAIMED
local HUGE = math.huge
local ER_TIMEOUT = 78
-- Seconds that the workers have unless the caller says otherwise.
local TIMEOUT = 5
-- Seconds between two looks whether they are done, at first and at most.
local FIRST_PAUSE, LONGEST_PAUSE = 0.0005, 0.02
-- Sessions that a line of the log names.
local NAMED = 10

-- Keys that filters may have, and those that leave no session out.
local TAKEN = {limit = true, order = session_rows.keys}
for key in pairs(filters.SESSIONS) do
  TAKEN[key] = true
end
local BOUNDLESS = {limit = true, order = true}

-- The sessions that a filter means, as a list of ids.
local function that_fit(what, filter)
  local plan = filters.plan(what, filter, TAKEN, sights.only_user('Read'))
  local is_bounded = false
  for key in pairs(filter) do
    is_bounded = is_bounded or not BOUNDLESS[key]
  end
  if not is_bounded then
    refuse(what, 'got a filter that means every session, expected one that tells some from others')
  end
  return (roster.ids(plan)), plan.ids
end

local function timeout_of(what, options)
  if options == nil then
    return TIMEOUT
  elseif type(options) ~= 'table' then
    refuse(what, 'got %s as options, expected a table', shown(options))
  end
  for key in pairs(options) do
    if key ~= 'timeout' then
      refuse(what, 'unexpected option %s, expected timeout', shown(key))
    end
  end
  local timeout = options.timeout
  if timeout == nil then
    return TIMEOUT
  elseif type(timeout) ~= 'number' or not (timeout > 0 and timeout < HUGE) then
    refuse(what, 'timeout: got %s, expected a number of seconds above 0', shown(timeout))
  end
  return timeout
end

-- Refuse unless the running code may end these sessions. Nobody knows whose a session will be
-- before it is opened.
local function check_rights(ids)
  if sights.only_user('Write') == nil then
    return
  end
  for _, id in ipairs(ids) do
    local slot = shared.slots[id % shared.capacity]
    local uid, is_open = tonumber(slot.uid), slot.state ~= CLAIMED
    if slot.id == id then
      sights.check('Write', id, is_open and uid or nil)
    end
  end
end

-- The sessions by the rows of their workers.
local function by_row(ids)
  local rows = {}
  for _, id in ipairs(ids) do
    local row = tonumber(shared.slots[id % shared.capacity].worker)
    if shared.exists(id) then
      rows[row] = rows[row] or {}
      table.insert(rows[row], id)
    end
  end
  return rows
end

local function append(list, more)
  for _, each in ipairs(more) do
    list[#list + 1] = each
  end
end

-- Order it for sessions; the list of those that it can be done to.
local function place(ids, wish)
  local placed = {}
  for _, id in ipairs(ids) do
    if orders.place(id, wish) ~= nil then
      placed[#placed + 1] = id
    end
  end
  return placed
end

-- Order it for sessions of this worker and carry it out, others having their turn in between; the
-- list of them. What is left then are sessions whose connections are on the way.
local function do_here(ids, wish)
  local placed = place(ids, wish)
  for first = 1, #placed, closing.SLICE do
    if first > 1 and fibers.may_wait() then
      fibers.suspend_quietly(0)
    end
    closing.carry_out(placed, first, min(first + closing.SLICE - 1, #placed))
  end
  return placed
end

-- Order it for sessions of other workers, by their rows; the list of them.
local function tell(rows, wish)
  local told = {}
  for row, ids in pairs(rows) do
    local placed = place(ids, wish)
    closing.tell(row, placed, 1, #placed)
    append(told, placed)
  end
  return told
end

-- The sessions for which it is still to be done.
local function those_left(ids, wish)
  local found = {}
  for _, id in ipairs(ids) do
    if orders.is_left(id, wish) then
      found[#found + 1] = id
    end
  end
  return found
end

-- Wait until it is done or `deadline` has come; the sessions for which it is not.
local function await(ids, wish, deadline)
  local pause = FIRST_PAUSE
  local left = those_left(ids, wish)
  while #left > 0 and clock() < deadline do
    suspend(pause)
    pause = min(pause * 1.5, LONGEST_PAUSE)
    left = those_left(left, wish)
  end
  return left
end

local FAILURES = {
  [KILL] = {
    one = 'session %d did not end within %g s: %s does not answer; it ends as soon as that goes on',
    many = '%d of %d sessions did not end within %g s, such as session %d of %s; they end as soon '
      .. 'as their workers go on',
  },
  [CANCEL] = {
    one = 'the requests of session %d were not cancelled within %g s: %s does not answer; they are '
      .. 'as soon as that goes on',
    many = 'the requests of %d of %d sessions were not cancelled within %g s, such as those of '
      .. 'session %d of %s; they are as soon as their workers go on',
  },
}

local function fail(left, count, wish, timeout)
  local id = left[1]
  local row = shared.rows[tonumber(shared.slots[id % shared.capacity].worker)]
  local whose = ('worker %d (process %d)'):format(tonumber(row.number), tonumber(row.pid))
  local texts = FAILURES[wish]
  local text = count == 1 and texts.one:format(id, timeout, whose)
    or texts.many:format(#left, count, timeout, id, whose)
  error(errors.api.new({code = ER_TIMEOUT, reason = text}), 0)
end

local function note(ids, wish)
  local named = table.concat(ids, ', ', 1, min(#ids, NAMED))
  log.info("user '%s' %s: %s%s", access.name(cur.euid),
    wish == KILL and 'ends sessions' or 'cancels the requests of sessions', named,
    #ids > NAMED and (', ... (%d)'):format(#ids) or '')
end

-- Have it done to all the sessions; how many there were.
local function have_done(ids, wish, timeout)
  local deadline = clock() + timeout
  local rows = by_row(ids)
  if next(rows) == nil then
    return 0
  end
  local here, own = {}, {}
  for _, id in ipairs(rows[bus.index] or {}) do
    table.insert(id == cur.id and own or here, id)
  end
  rows[bus.index] = nil
  if next(rows) ~= nil and not fibers.may_wait() then
    error(fibers.CANNOT_YIELD, 0)
  end
  note(ids, wish)
  local placed = tell(rows, wish)
  append(placed, do_here(here, wish))
  local left = fibers.may_wait() and await(placed, wish, deadline) or {}
  local count = #placed + #do_here(own, wish)
  if #left > 0 then
    fail(left, count, wish, timeout)
  end
  return count
end

local function make(name, wish)
  local what = 'box.session.' .. name
  session[name] = function(which, options)
    local timeout = timeout_of(what, options)
    local ids, named
    if type(which) == 'table' then
      ids, named = that_fit(what, which)
    else
      ids = {filter_keys.id(what, which)}
    end
    check_rights(named or ids)
    check_rights(ids)
    return have_done(ids, wish, timeout)
  end
end

make('kill', KILL)
make('cancel', CANCEL)

return session
