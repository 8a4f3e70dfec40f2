-- Keys of a table in an order that is always the same.
--
-- Called by engine/lua_output: sorted(keys, pause, c) with a list of keys, which it may reorder,
-- and what to call now and then so that others can run. Numbers come first, then texts, then
-- booleans; others go by their names.
--
--   keys --> runs of RUN keys, each sorted at once --> merged two by two until one is left
--
-- Only few keys are sorted at once, so that a table with very many stops nobody.

local min, sort = math.min, table.sort
local tostring, type = tostring, type

-- Keys that are sorted at once, and that are merged between two pauses.
local RUN, STEP = 512, 1024
local ORDER = {number = 1, string = 2, boolean = 3}

local key_order = {}

local function before(a, b)
  local kind, other = type(a), type(b)
  if kind ~= other then
    return (ORDER[kind] or 4) < (ORDER[other] or 4)
  elseif kind == 'number' or kind == 'string' then
    return a < b
  end
  return tostring(a) < tostring(b)
end

local function sorted_runs(keys, pause, c)
  for from = 1, #keys, RUN do
    local run = {}
    for place = from, min(from + RUN - 1, #keys) do
      run[place - from + 1] = keys[place]
    end
    sort(run, before)
    for place = 1, #run do
      keys[from + place - 1] = run[place]
    end
    pause(c)
  end
end

-- Merge two runs of keys, [from, middle) and [middle, to), into the same places of `into`.
local function merge(keys, into, from, middle, to, pause, c)
  local left, right = from, middle
  for place = from, to - 1 do
    if left < middle and (right >= to or not before(keys[right], keys[left])) then
      into[place], left = keys[left], left + 1
    else
      into[place], right = keys[right], right + 1
    end
    if place % STEP == 0 then
      pause(c)
    end
  end
end

--- The keys in order.
function key_order.sorted(keys, pause, c)
  local count = #keys
  if count <= RUN then
    sort(keys, before)
    return keys
  end
  sorted_runs(keys, pause, c)
  local from_keys, into, size = keys, {}, RUN
  while size < count do
    for from = 1, count, 2 * size do
      merge(from_keys, into, from, min(from + size, count + 1), min(from + 2 * size, count + 1),
        pause, c)
    end
    from_keys, into, size = into, from_keys, 2 * size
  end
  return from_keys
end

return key_order
