-- The first of very many things by a key, in order.
--
--   new(limit, down)        at most so many; the largest keys first when `down`
--   add(chosen, key, id)    for each of them, in any order
--   cut(chosen, turn)       now and then between: forgets those that are too many, keeping few
--   finish(chosen, turn)    their ids in order
--
-- Keys are numbers or texts, not both; equal ones go by their ids, the smallest first. Behind a cut
-- only what comes before the last of those that are kept is looked at, so the first hundred of a
-- million cost little more than the million looks. `turn` is of engine/turns.

local turns = require('beespace.engine.turns')

local max, min, huge = math.max, math.min, math.huge
local give = turns.give
-- Things of which a cut is worth while, and places that are filled in one portion.
local FEW, STEP = 4096, 1024

local selection = {}

local function before(key, id, other, other_id, down)
  if key == other then
    return id < other_id
  elseif down then
    return other < key
  end
  return key < other
end

-- See the head of this file; math.huge for all.
function selection.new(limit, down)
  return {
    limit = limit,
    down = down,
    keys = {},
    ids = {},
    count = 0,
    -- How many may be there before the next cut.
    most = limit < huge and max(4 * limit, FEW) or huge,
    -- Whether some were left out.
    more = false,
    last_key = nil,
    last_id = nil,
  }
end

-- Whether it may be among the first.
function selection.add(chosen, key, id)
  local last = chosen.last_key
  if last ~= nil and not before(key, id, last, chosen.last_id, chosen.down) then
    return false
  end
  local count = chosen.count + 1
  chosen.keys[count], chosen.ids[count] = key, id
  chosen.count = count
  return true
end

-- Whether `keys` are in order from place `from` on to `to`, each with the one behind it.
local function are_sorted(keys, ids, from, to, down)
  for place = from, to do
    if before(keys[place + 1], ids[place + 1], keys[place], ids[place], down) then
      return false
    end
  end
  return true
end

-- Fill the places from `from` to `to` of a pass that merges runs of `width` two by two; `at` has
-- the next places of the two runs, and where these end.
local function merge(keys, ids, into_keys, into_ids, from, to, width, count, down, at)
  local left, middle, right, stop = at.left, at.middle, at.right, at.stop
  for place = from, to do
    if place == stop then
      left, middle = place, min(place + width, count + 1)
      right, stop = middle, min(place + 2 * width, count + 1)
    end
    if left < middle and (right == stop
       or not before(keys[right], ids[right], keys[left], ids[left], down)) then
      into_keys[place], into_ids[place] = keys[left], ids[left]
      left = left + 1
    else
      into_keys[place], into_ids[place] = keys[right], ids[right]
      right = right + 1
    end
  end
  at.left, at.middle, at.right, at.stop = left, middle, right, stop
end

local function is_sorted(chosen, turn)
  local keys, ids, count = chosen.keys, chosen.ids, chosen.count
  for from = 1, count - 1, STEP do
    if not are_sorted(keys, ids, from, min(from + STEP, count) - 1, chosen.down) then
      return false
    end
    give(turn)
  end
  return true
end

local function sort(chosen, turn)
  local count, width = chosen.count, 1
  local into_keys, into_ids = {}, {}
  while width < count do
    local at = {left = 1, middle = 1, right = 1, stop = 1}
    for from = 1, count, STEP do
      merge(chosen.keys, chosen.ids, into_keys, into_ids, from, min(from + STEP - 1, count), width,
        count, chosen.down, at)
      give(turn)
    end
    chosen.keys, into_keys = into_keys, chosen.keys
    chosen.ids, into_ids = into_ids, chosen.ids
    width = width * 2
  end
end

local function keep(chosen, turn)
  if not is_sorted(chosen, turn) then
    sort(chosen, turn)
  end
  local limit = chosen.limit
  if chosen.count > limit then
    chosen.more, chosen.count = true, limit
    chosen.last_key, chosen.last_id = chosen.keys[limit], chosen.ids[limit]
  end
end

-- See the head of this file.
function selection.cut(chosen, turn)
  if chosen.count > chosen.most then
    keep(chosen, turn)
  end
end

-- A list of ids, and whether there were others.
function selection.finish(chosen, turn)
  keep(chosen, turn)
  local list, ids = {}, chosen.ids
  for place = 1, chosen.count do
    list[place] = ids[place]
  end
  return list, chosen.more
end

return selection
