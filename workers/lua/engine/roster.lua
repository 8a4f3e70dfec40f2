-- Walks over the session table: which sessions of all workers fit a filter, and how many.
--
-- box/session_list asks for its lists and counts, box.session.kill for what it ends. Nothing is
-- asked of other workers: every slot is looked at (engine/glance), which takes some 50 ns for each
-- session. Others run in between (engine/turns), so a session may come or end meanwhile; each is
-- met once at most. With a list of ids only their slots are looked at.

local filters = require('beespace.engine.filters')
local glance = require('beespace.engine.glance')
local selection = require('beespace.engine.selection')
local session_rows = require('beespace.engine.session_rows')
local shared = require('beespace.engine.table')
local sys = require('beespace.engine.sys')
local turns = require('beespace.engine.turns')

local min = math.min
local fits, look, look_at = filters.session_fits, glance.of, glance.at
local add, cut = selection.add, selection.cut
local give = turns.give
-- Slots of one portion.
local STEP = 512

local roster = {}

-- Portions: their code is what LuaJIT compiles ----------------------------------------------------

local function count_slots(plan, from, to, time, clock)
  local mine, count = glance.copy, 0
  for index = from, to do
    if look_at(index) ~= 0 and fits(plan, mine, time, clock) then
      count = count + 1
    end
  end
  return count
end

local function is_behind(plan, id)
  local after = plan.after
  if after == nil then
    return true
  elseif plan.down then
    return id < after
  end
  return id > after
end

local function choose_slots(plan, from, to, time, clock, chosen, key)
  local mine = glance.copy
  for index = from, to do
    local id = look_at(index)
    if id ~= 0 and is_behind(plan, id) and fits(plan, mine, time, clock) then
      add(chosen, key(mine, time, clock), id)
    end
  end
end

-- The same for the ids in a list.

local function count_ids(plan, from, to, time, clock)
  local mine, ids, count = glance.copy, plan.ids, 0
  for place = from, to do
    if look(ids[place]) and fits(plan, mine, time, clock) then
      count = count + 1
    end
  end
  return count
end

local function choose_ids(plan, from, to, time, clock, chosen, key)
  local mine, ids = glance.copy, plan.ids
  for place = from, to do
    local id = ids[place]
    if look(id) and is_behind(plan, id) and fits(plan, mine, time, clock) then
      add(chosen, key(mine, time, clock), id)
    end
  end
end

-- Walks -------------------------------------------------------------------------------------------

local function now()
  return sys.clock(sys.CLOCK_REALTIME), sys.clock(sys.CLOCK_MONOTONIC)
end

-- How many sessions fit a plan.
function roster.count(plan)
  local time, clock = now()
  local turn, count = turns.begin(), 0
  local portion, first, last = count_slots, 0, shared.capacity - 1
  if plan.ids ~= nil then
    portion, first, last = count_ids, 1, #plan.ids
  end
  for from = first, last, STEP do
    count = count + portion(plan, from, min(from + STEP - 1, last), time, clock)
    give(turn)
  end
  return count
end

-- The ids of those that fit, as the plan orders and limits them; whether there were more.
function roster.ids(plan)
  local time, clock = now()
  local turn, chosen = turns.begin(), selection.new(plan.limit, plan.down)
  local key = session_rows.keys[plan.field or 'id']
  local portion, first, last = choose_slots, 0, shared.capacity - 1
  if plan.ids ~= nil then
    portion, first, last = choose_ids, 1, #plan.ids
  end
  for from = first, last, STEP do
    portion(plan, from, min(from + STEP - 1, last), time, clock, chosen, key)
    cut(chosen, turn)
    give(turn)
  end
  return selection.finish(chosen, turn)
end

local function append_rows(rows, ids, from, to)
  local mine, time, clock = glance.copy, now()
  for place = from, to do
    if look(ids[place]) then
      rows[#rows + 1] = session_rows.of(mine, time, clock)
    end
  end
end

-- Rows of those that fit. One that has ended since it was found is left out, and the next one
-- taken, so that a page of ids is shorter than its limit only when it is the last.
function roster.rows(plan)
  local rows, turn, limit = {}, turns.begin(), plan.limit
  repeat
    local ids, more = roster.ids(plan)
    for from = 1, #ids, STEP do
      append_rows(rows, ids, from, min(from + STEP - 1, #ids))
      give(turn)
    end
    plan.after, plan.limit = ids[#ids], limit - #rows
  until not more or plan.limit == 0 or plan.field ~= nil and plan.field ~= 'id'
  return rows
end

return roster
