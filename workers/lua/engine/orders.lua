-- Orders: what others want of the worker that has a session, its end or that of its requests.
--
-- One word a slot, in the segment: the session's id with the wish above it. shm/orders.py has the
-- same for Python, and says who does what. Called by box/session_kill, which places orders and
-- waits, by engine/closing, which carries them out, and by engine/sessions: what was ordered tells
-- why a session ends, and goes with its slot.
--
-- Until the first order header.ordered is 0, and nobody looks at a word: looking alone would give
-- each session 8 bytes more of memory.

local ffi = require('ffi')
local shared = require('beespace.engine.table')
local sys = require('beespace.engine.sys')

local C = sys.C
local floor, tonumber = math.floor, tonumber
local CLOSING = shared.CLOSING
local ID_LIMIT = 2 ^ 53
-- Words are read by halves, so that no 64-bit number has to be made: bits of an id that are in the
-- upper one, and values of a half.
local UPPER, HALF = 2 ^ 21, 2 ^ 32

local NONE, CANCEL, KILL, CUT = 0, 1, 2, 3

-- Wishes; KILL becomes CUT when the client is cut off.
local orders = {NONE = NONE, CANCEL = CANCEL, KILL = KILL, CUT = CUT}

-- What stands above the id, by wish.
local marks = {}
for wish = NONE, CUT do
  marks[wish] = ffi.cast('uint64_t', wish) * 2 ^ 53
end

local header, words, halves, capacity
local random = ffi.new('uint64_t[1]')

-- Look at the orders of the segment that engine/table is attached to.
function orders.attach()
  header = shared.header
  words = ffi.cast('bee_order_t *', ffi.cast('uint8_t *', header) + header.orders_offset)
  halves = ffi.cast('volatile uint32_t *', words)
  capacity = tonumber(header.capacity)
end

local function store(id, wish)
  header.ordered = 1
  words[id % capacity].word = ffi.cast('uint64_t', id) + marks[wish]
end

-- What is wanted for the session, NONE when nothing is.
local function wish_of(id)
  if header.ordered == 0 then
    return NONE
  end
  local at = 2 * (id % capacity)
  local upper = halves[at + 1]
  if upper == 0 or halves[at] ~= id % HALF or upper % UPPER ~= floor(id / HALF) then
    return NONE
  end
  return floor(upper / UPPER)
end
orders.wish = wish_of

-- Order this for the session (a whole number): the row of its worker. Nil where it cannot be done:
-- it does not exist, was cut off, or KILL comes too late.
function orders.place(id, wish)
  if not (id > 0 and id < ID_LIMIT) then
    return nil
  end
  local slot = shared.slots[id % capacity]
  local row, ends = tonumber(slot.worker), slot.state == CLOSING
  if slot.id ~= id then
    return nil
  end
  local now = wish_of(id)
  if now == CUT or wish == KILL and ends then
    return nil
  elseif wish > now then
    store(id, wish)
  end
  return row
end

-- Let the worker of a row look for orders, whatever its loop does.
function orders.raise_alarm(row)
  C.getrandom(random, 8, 0)
  shared.rows[row].alarm = 1 + tonumber(random[0] % ID_LIMIT)
end

-- Whether what was placed for a session is not carried out yet.
function orders.is_left(id, wish)
  if shared.slots[id % capacity].id ~= id then
    return false
  end
  local now = wish_of(id)
  if wish == CANCEL then
    return now == CANCEL
  elseif now == CUT then
    return false
  elseif now ~= KILL then
    -- Lost to one that was written, or forgotten, at the same moment.
    local row = orders.place(id, KILL)
    if row == nil then
      return false
    end
    orders.raise_alarm(row)
  end
  return true
end

-- Say that an order was carried out, unless another one has come meanwhile.
function orders.done(id, wish)
  if wish_of(id) ~= wish then
    return
  elseif wish == KILL then
    store(id, CUT)
  else
    words[id % capacity].word = 0
  end
end

-- The session of a slot is over, and the slot not free yet.
function orders.forget(slot)
  if header.ordered ~= 0 and halves[2 * slot + 1] ~= 0 then
    words[slot].word = 0
  end
end

-- Write down the ids of up to `most` sessions that something is ordered for, from slot `from` on:
-- `list` gets them, from 1. How many there are, and the slot to go on with, nil at the end.
function orders.find(list, most, from)
  local count = 0
  for slot = from, capacity - 1 do
    if halves[2 * slot + 1] ~= 0 then
      if count == most then
        return count, slot
      end
      count = count + 1
      list[count] = tonumber(words[slot].word % ID_LIMIT)
    end
  end
  return count, nil
end

return orders
