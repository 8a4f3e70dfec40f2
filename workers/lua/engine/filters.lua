-- Which sessions are meant: plans of filters, and whether a session fits one.
--
-- box/session_list and box/session_history make a plan of a filter once (engine/filter_keys says
-- what it may be), and ask it of copies of many slots, or of records of the history:
--
--   filters.plan(what, filter, taken, uid) --> plan --> session_fits(plan, slot, time, clock)
--                                                   --> ended_fits(plan, record)
--
-- What a plan has is compared as it lies in memory, so that a walk over the whole table is one
-- compiled loop: marks of one byte for numbers below 256, sets for others.

local ffi = require('ffi')
local catalog = require('beespace.engine.catalog')
local filter_keys = require('beespace.engine.filter_keys')
local labels = require('beespace.engine.labels')
local networks = require('beespace.engine.networks')
local shared = require('beespace.engine.table')

local ipairs, next, pairs, tonumber = ipairs, next, pairs, tonumber
local max, huge = math.max, math.huge
local fits = networks.fits
local name_of = labels.name
local bytes_p = ffi.typeof('const uint8_t *')
-- Name of the users that were dropped.
local NOBODY = ''

local filters = {
  -- Keys that tell which sessions are meant: of those that exist, and of those that have ended.
  SESSIONS = {
    id = true, user = true, uid = true, peer = true, type = true, worker = true, listener = true,
    name = true, state = true, age_gt = true, idle_gt = true, in_flight_gt = true,
  },
  ENDED = {
    id = true, user = true, uid = true, peer = true, type = true, worker = true, listener = true,
    name = true, reason = true, age_gt = true,
  },
}

-- Making plans ------------------------------------------------------------------------------------

local function set_of(list)
  if list == nil then
    return nil
  end
  local set = {}
  for _, value in ipairs(list) do
    set[value] = true
  end
  return set
end

-- A list without what it has twice.
local function distinct(list)
  if list == nil then
    return nil
  end
  local met, once = {}, {}
  for _, value in ipairs(list) do
    if not met[value] then
      met[value] = true
      once[#once + 1] = value
    end
  end
  return once
end

-- 1 for each number below 256 that is meant: those of a list, or all, but for those of another one.
local function marks(wanted, unwanted)
  local made = ffi.new('uint8_t[256]')
  ffi.fill(made, 256, wanted == nil and 1 or 0)
  for _, number in ipairs(wanted or {}) do
    made[number] = 1
  end
  for _, number in ipairs(unwanted or {}) do
    made[number] = 0
  end
  return made
end

-- Numbers from 0 to `last` for which `value_of` gives one of the list; nil when there is none.
local function numbers_with(list, last, value_of)
  local set = set_of(list)
  if set == nil then
    return nil
  end
  local found = {}
  for number = 0, last do
    local value = value_of(number)
    if value ~= nil and set[value] then
      found[#found + 1] = number
    end
  end
  return found
end

local function number_of_row(row)
  return tonumber(shared.rows[row].number)
end

-- Numbers of the users with these names; '' are all that were dropped.
local function users(names)
  if names == nil then
    return nil
  end
  local set = {}
  for _, name in ipairs(names) do
    local found = catalog.by_name[name]
    if found ~= nil then
      set[found.id] = true
    elseif name == NOBODY then
      set[NOBODY] = true
    end
  end
  return set
end

-- What is in both sets, nil standing for everything.
local function intersection(one, other)
  if one == nil or other == nil then
    return one or other
  end
  local both = {}
  for value in pairs(one) do
    both[value] = other[value]
  end
  return both
end

-- A set that may be asked, nil when nothing is in it.
local function unless_empty(set)
  return set ~= nil and next(set) ~= nil and set or nil
end

-- The plan of a filter; `what` and `taken` as for filter_keys.parse. Sessions of other users than
-- `uid` are not meant when it is given. Raises what is wrong with the filter.
function filters.plan(what, filter, taken, uid)
  local said = filter_keys.parse(what, filter, taken)
  local last_row = tonumber(shared.header.workers) - 1
  return {
    ids = distinct(said.id),
    id_set = set_of(said.id),
    not_ids = unless_empty(set_of(said.not_id)),
    uids = intersection(set_of(said.uid), uid ~= nil and {[uid] = true} or nil),
    not_uids = unless_empty(set_of(said.not_uid)),
    users = users(said.user),
    not_users = unless_empty(users(said.not_user)),
    types = marks(said.type, said.not_type),
    states = marks(said.state, said.not_state),
    reasons = marks(said.reason, said.not_reason),
    rows = marks(numbers_with(said.worker, last_row, number_of_row),
      numbers_with(said.not_worker, last_row, number_of_row)),
    workers = set_of(said.worker),
    not_workers = unless_empty(set_of(said.not_worker)),
    listeners = marks(numbers_with(said.listener, 255, shared.listener),
      numbers_with(said.not_listener, 255, shared.listener)),
    peers = said.peer,
    not_peers = unless_empty(said.not_peer),
    names = set_of(said.name),
    not_names = unless_empty(set_of(said.not_name)),
    age_over = said.age_gt or -1,
    age_most = said.not_age_gt or huge,
    idle_over = said.idle_gt or -1,
    idle_most = said.not_idle_gt or huge,
    in_flight_over = said.in_flight_gt or -1,
    in_flight_most = said.not_in_flight_gt or huge,
    after = said.after,
    limit = said.limit or huge,
    field = said.order and said.order.field,
    down = said.order ~= nil and said.order.down,
  }
end

-- Asking them -------------------------------------------------------------------------------------

-- The loop is for several patterns only: LuaJIT gives up one which usually runs once.
local function any(patterns, peer, length)
  if #patterns == 1 then
    return fits(patterns[1], peer, length)
  end
  for index = 1, #patterns do
    if fits(patterns[index], peer, length) then
      return true
    end
  end
  return false
end

local function peer_fits(plan, peer, length)
  return (plan.peers == nil or any(plan.peers, peer, length))
    and (plan.not_peers == nil or not any(plan.not_peers, peer, length))
end

-- Whether a user is one of those that `users` has made.
local function is_among(users_of, uid)
  return users_of[uid] ~= nil or users_of[NOBODY] ~= nil and catalog.principals[uid] == nil
end

local function user_fits(plan, uid)
  return (plan.uids == nil or plan.uids[uid] ~= nil)
    and (plan.not_uids == nil or plan.not_uids[uid] == nil)
    and (plan.users == nil or is_among(plan.users, uid))
    and (plan.not_users == nil or not is_among(plan.not_users, uid))
end

local function name_fits(plan, record)
  local name = name_of(record)
  return (plan.names == nil or plan.names[name] ~= nil)
    and (plan.not_names == nil or plan.not_names[name] == nil)
end

-- What sessions and records have in common.
local function rest_fits(plan, record)
  if not user_fits(plan, record.uid)
     or plan.not_ids ~= nil and plan.not_ids[tonumber(record.id)] ~= nil then
    return false
  elseif (plan.peers ~= nil or plan.not_peers ~= nil)
     and not peer_fits(plan, ffi.cast(bytes_p, record.peer), record.peer_len) then
    return false
  end
  return plan.names == nil and plan.not_names == nil or name_fits(plan, record)
end

-- Seconds since a session has begun, and since something came from it, when these are the time of
-- the calendar and that of the monotonic clock.
local function age_of(slot, time)
  return max(time - slot.connected, 0)
end

local function idle_of(slot, time, clock)
  local last = slot.last_request
  return last == 0 and age_of(slot, time) or max(clock - last, 0)
end

filters.age, filters.idle = age_of, idle_of

-- Whether the session in the copy of a slot is meant; the list of ids is not looked at.
function filters.session_fits(plan, slot, time, clock)
  if plan.types[slot.type] == 0 or plan.states[slot.state] == 0 or plan.rows[slot.worker] == 0
     or plan.listeners[slot.listener] == 0 then
    return false
  end
  local age, idle = age_of(slot, time), idle_of(slot, time, clock)
  local in_flight = slot.in_flight
  if not (age > plan.age_over and age <= plan.age_most and idle > plan.idle_over
     and idle <= plan.idle_most and in_flight > plan.in_flight_over
     and in_flight <= plan.in_flight_most) then
    return false
  end
  return rest_fits(plan, slot)
end

-- Whether an ended session is meant, by the copy of its record.
function filters.ended_fits(plan, record)
  if plan.types[record.type] == 0 or plan.reasons[record.reason] == 0
     or plan.listeners[record.listener] == 0
     or plan.id_set ~= nil and plan.id_set[tonumber(record.id)] == nil
     or plan.workers ~= nil and plan.workers[record.number] == nil
     or plan.not_workers ~= nil and plan.not_workers[record.number] ~= nil then
    return false
  end
  local age = max(record.ended - record.connected, 0)
  return age > plan.age_over and age <= plan.age_most and rest_fits(plan, record)
end

return filters
