-- The coroutines of the scheduler: kept for use, made when none is left, let go when too many are.
--
-- Called by engine/fibers, which knows what runs in them.

local create = coroutine.create
local ceil, max, min = math.ceil, math.max, math.min

-- Kept however long nobody needed them.
local SMALL = 16

local pool = {}

-- Coroutines that belong to the scheduler and not to an application, and those of them that are not
-- used again.
local own = setmetatable({}, {__mode = 'k'})
local spoilt = setmetatable({}, {__mode = 'k'})
local idle, count = {}, 0
-- Fewest that were idle since the last look.
local least = 0

-- A coroutine that runs `body`, or one that was given back by it.
function pool.take(body)
  if count > 0 then
    local thread = idle[count]
    idle[count] = nil
    count = count - 1
    least = min(least, count)
    return thread
  end
  local thread = create(body)
  own[thread] = true
  return thread
end

function pool.give_back(thread)
  if spoilt[thread] then
    return
  end
  count = count + 1
  idle[count] = thread
end

-- What runs in a coroutine has changed it: it is dropped when it is given back.
function pool.spoil(thread)
  spoilt[thread] = true
end

-- Whether a coroutine is one of the scheduler's, which application code may not yield from.
function pool.is_own(thread)
  return own[thread] ~= nil
end

-- Coroutines that wait for use.
function pool.count()
  return count
end

-- Once a second: let go of half of those that nobody needed since the last time; their number.
function pool.shrink()
  local released = max(0, ceil((least - SMALL) / 2))
  for _ = 1, released do
    idle[count] = nil
    count = count - 1
  end
  least = count
  return released
end

return pool
