-- How much memory the server uses, in the form of Tarantool's box.info.memory, box.runtime and
-- box.slab.
--
-- box/info and box/init put it where applications find it. Figures are those of all workers
-- together, from the segment: the Lua heaps as they were up to a second ago, and what waits for
-- clients. There is no arena for data, so whatever speaks of one is 0.

local shared = require('beespace.engine.table')

local collectgarbage, tonumber = collectgarbage, tonumber
local LIVE = shared.LIVE

local memory = {
  -- Bytes that the Lua heap of one worker may have, 0: any number; engine/live sets it.
  limit = 0,
}

-- Bytes of Lua's heaps.
local function heaps()
  local sum = collectgarbage('count') * 1024
  for index = 0, tonumber(shared.header.workers) - 1 do
    local row = shared.rows + index
    if row ~= shared.row and row.pid ~= 0 then
      sum = sum + tonumber(row.lua_heap)
    end
  end
  return sum
end

-- Bytes that wait for clients: answers which were not sent yet, and messages in inboxes. It looks
-- at slots until it has seen every session.
local function waiting()
  local left, sum = shared.population(), 0
  for index = 0, shared.capacity - 1 do
    if left <= 0 then
      break
    end
    local slot = shared.slots + index
    if slot.id ~= 0 then
      left = left - 1
      if slot.state == LIVE then
        sum = sum + slot.pending_out + slot.inbox_bytes
      end
    end
  end
  return sum
end

-- What box.info.memory() answers.
function memory.info()
  return {cache = 0, data = 0, index = 0, lua = heaps(), net = waiting(), tx = 0}
end

-- box.runtime: memory of Lua alone, and how much all workers may have (0: no limit).
memory.runtime = {
  info = function()
    local used = heaps()
    return {lua = used, used = used, maxalloc = memory.limit * tonumber(shared.header.serving)}
  end,
}

-- box.slab: an arena that has no size.
memory.slab = {
  info = function()
    return {
      items_size = 0, items_used = 0, items_used_ratio = '0.00%',
      arena_size = 0, arena_used = 0, arena_used_ratio = '0.0%',
      quota_size = 0, quota_used = 0, quota_used_ratio = '0.00%',
    }
  end,
  stats = function() return {} end,
  check = function() end,
}

return memory
