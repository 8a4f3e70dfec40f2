-- Looking for rows by an index: keys, their comparison, and the iterators.
--
-- Called by engine/views with the sorted rows of an index, as engine/view_rows keeps them. A key is
-- an array of the first so many values of the index's parts. Values of different types are ordered
-- by type: booleans, numbers, strings, the rest.
--
--   rows, sorted:   . . . [ = key . . . ] . . . .
--                         low            high            found by halving

local ffi = require('ffi')
local errors = require('beespace.box.error')

local error, ipairs, tonumber, type = error, ipairs, tonumber, type
local int64_t, uint64_t = ffi.typeof('int64_t'), ffi.typeof('uint64_t')

local search = {
  EQ = 0, REQ = 1, ALL = 2, LT = 3, LE = 4, GE = 5, GT = 6,
}

-- Iterators that go from the last row to the first.
local backward = {[search.REQ] = true, [search.LT] = true, [search.LE] = true}

local RANKS = {boolean = 1, number = 2, string = 3}
local LAST_RANK = 4

local function rank(value)
  return RANKS[type(value)] or LAST_RANK
end

-- Below, at, or above 0 as the first value is before, with, or behind the second.
local function compare_values(a, b)
  if a == b then
    return 0
  end
  local rank_a, rank_b = rank(a), rank(b)
  if rank_a ~= rank_b then
    return rank_a - rank_b
  elseif rank_a == LAST_RANK then
    return 0
  elseif rank_a == RANKS.boolean then
    return a and 1 or -1
  end
  return a < b and -1 or 1
end

-- A row against the first values of a key.
local function compare(row, parts, key)
  for position = 1, #key do
    local order = compare_values(row[parts[position].field], key[position])
    if order ~= 0 then
      return order
    end
  end
  return 0
end

-- Sort rows by an index; those that are equal there are in the order of the primary index.
function search.sort(rows, parts, primary)
  local fields = {}
  for _, list in ipairs({parts, primary}) do
    for position = 1, #list do
      fields[#fields + 1] = list[position].field
    end
  end
  table.sort(rows, function(a, b)
    for position = 1, #fields do
      local field = fields[position]
      local order = compare_values(a[field], b[field])
      if order ~= 0 then
        return order < 0
      end
    end
    return false
  end)
end

-- A value of a key that is a number, as a Lua number; nil for anything that is none.
local function number_of(value)
  if type(value) == 'number' then
    return value
  elseif ffi.istype(uint64_t, value) or ffi.istype(int64_t, value) then
    return tonumber(value)
  end
  return nil
end

-- A value of a key as it is compared; nil when it is not of the part's type.
local function part_value(value, kind)
  if kind == 'string' then
    return type(value) == 'string' and value or nil
  end
  local number = number_of(value)
  if kind == 'unsigned' then
    return number ~= nil and number >= 0 and number % 1 == 0 and number or nil
  elseif number ~= nil then
    return number
  elseif value == nil or type(value) == 'table' then
    return nil
  end
  return value
end

-- The key as it is compared; raises what is wrong with it.
function search.check_key(parts, key)
  if #key > #parts then
    error(errors.client('KEY_PART_COUNT', #parts, #key))
  end
  local checked = {}
  for position = 1, #key do
    local value = part_value(key[position], parts[position].type)
    if value == nil then
      error(errors.client('KEY_PART_TYPE', position - 1, parts[position].type))
    end
    checked[position] = value
  end
  return checked
end

-- The first place whose row is at the key or behind it; behind it when `past`.
local function find(rows, parts, key, past)
  local low, high = 1, #rows + 1
  while low < high do
    local middle = (low + high - (low + high) % 2) / 2
    local order = compare(rows[middle], parts, key)
    if order < 0 or past and order == 0 then
      low = middle + 1
    else
      high = middle
    end
  end
  return low
end

-- First and last place, and the step between two.
local function range(rows, parts, key, iterator)
  local low, high = 1, #rows
  if #key > 0 then
    if iterator == search.EQ or iterator == search.REQ then
      low, high = find(rows, parts, key, false), find(rows, parts, key, true) - 1
    elseif iterator == search.LT then
      high = find(rows, parts, key, false) - 1
    elseif iterator == search.LE then
      high = find(rows, parts, key, true) - 1
    else
      low = find(rows, parts, key, iterator == search.GT)
    end
  end
  if backward[iterator] then
    return high, low, -1
  end
  return low, high, 1
end

-- The rows of an iterator that `visible` lets pass, in order: at most `limit` behind the first
-- `offset`.
function search.select(rows, parts, key, iterator, offset, limit, visible)
  local found, count = {}, 0
  if limit <= 0 then
    return found
  end
  local first, last, step = range(rows, parts, key, iterator)
  for place = first, last, step do
    local row = rows[place]
    if visible(row) then
      if offset > 0 then
        offset = offset - 1
      else
        count = count + 1
        found[count] = row
        if count >= limit then
          break
        end
      end
    end
  end
  return found
end

return search
