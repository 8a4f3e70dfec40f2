-- Inboxes: values that wait in a session until its client asks for them.
--
--   put (any worker)  room reserved in the slot, under its owner's lock  --bus-->  the owner
--   the owner         a list of MessagePack values by session; who waits for them is woken
--   take              the oldest values, whose room is given back
--
-- The bytes on their way and waiting are one number in the session's slot, so the limit is exact
-- over all senders and workers; engine/arrears mends it when a sender dies on the way. What one
-- session sends another keeps its order, since it goes through one lane of the bus. A session
-- without messages has nothing here.

local bus = require('beespace.engine.bus')
local codec = require('beespace.engine.codec')
local fibers = require('beespace.engine.fibers')
local locks = require('beespace.engine.locks')
local parcel = require('beespace.engine.parcel')
local sessions = require('beespace.engine.sessions')
local shared = require('beespace.engine.table')

local error, pcall = error, pcall
local max, min = math.max, math.min
local CLAIMED = shared.CLAIMED
local INBOX = bus.KIND.INBOX
local NAME = 'the inboxes'
-- Bytes of memory that a message takes beside its value.
local EACH = 32

local inbox = {
  -- Bytes that one inbox holds, each message with EACH more than its value.
  limit = 1024 * 1024,
  EACH = EACH,
  -- Called with a session's id and the number of its messages when that has changed.
  changed = function(_, _) end,
  -- Called with a session's id and the bytes of a message for it that was reserved in an earlier
  -- phase of its slot; engine/arrears sets it.
  came_late = function(_, _) end,
}

-- {first =, last =, bytes =, waiters = list of records, [n] = packed} by session id.
local boxes = {}

local function box_of(id)
  local box = boxes[id]
  if box == nil then
    box = {first = 1, last = 0, bytes = 0, waiters = {}}
    boxes[id] = box
  end
  return box
end

-- Reserve room in a slot, under its owner's lock: nil and the slot's phase, or the reason why there
-- is none.
local function reserve(slot, id, size)
  local state = slot.state
  if slot.id ~= id then
    return 'none'
  elseif state == CLAIMED then
    return 'busy'
  elseif not shared.is_open(slot) then
    return 'closed'
  elseif slot.inbox_bytes + size > inbox.limit then
    return 'full'
  end
  slot.inbox_bytes = slot.inbox_bytes + size
  return nil, slot.inbox_phase
end

local function give_back(slot, id, size)
  if slot.id == id then
    slot.inbox_bytes = max(0, slot.inbox_bytes - size)
  end
end

local function guarded(change, slot, id, size)
  return locks.guarded(shared.rows[slot.worker].inbox_lock, NAME, change, slot, id, size)
end

-- Put a value (MessagePack bytes) into the inbox of a session of any worker: true, or nil and why
-- not: 'none' (no such session), 'closed', 'full', or 'busy' when its worker does not keep up or
-- has not taken it over yet.
function inbox.put(id, packed)
  if not shared.exists(id) then
    return nil, 'none'
  end
  local slot = shared.slots[id % shared.capacity]
  local owner, size = slot.worker, #packed + EACH
  local reason, phase = guarded(reserve, slot, id, size)
  if reason ~= nil then
    return nil, reason
  end
  if not parcel.send(owner, INBOX, id, phase, packed) then
    guarded(give_back, slot, id, size)
    return nil, 'busy'
  end
  return true
end

local function begin_phase(slot, id, here)
  local missing = slot.id == id and slot.inbox_bytes - here or 0
  if missing > 0 then
    slot.inbox_phase = slot.inbox_phase + 1
  end
  return missing
end

-- Begin a new phase for a session of this worker when messages are on their way to it: their bytes,
-- 0 when there are none.
function inbox.begin_phase(id, slot)
  local box = boxes[id]
  return guarded(begin_phase, slot, id, box == nil and 0 or box.bytes)
end

-- Give room back that was reserved for messages which will never come.
function inbox.give_back(id, bytes)
  guarded(give_back, shared.slots[id % shared.capacity], id, bytes)
end

-- Messages that wait in the inbox of a session of this worker.
function inbox.count(id)
  local box = boxes[id]
  return box == nil and 0 or box.last - box.first + 1
end

-- The fiber whose turn it is shall look again.
local function wake_first(box)
  local first = box.waiters[1]
  if first ~= nil and box.first <= box.last then
    fibers.wake(first)
  end
end

-- A message has come over the bus.
local function receive(payload)
  local id, slot, phase = parcel.open(payload)
  if id == nil then
    return
  end
  local box = box_of(id)
  box.last = box.last + 1
  local packed = payload:sub(parcel.HEAD + 1)
  box[box.last] = packed
  local size = #packed + EACH
  box.bytes = box.bytes + size
  if phase ~= slot.inbox_phase then
    inbox.came_late(id, size)
  end
  wake_first(box)
  inbox.changed(id, inbox.count(id))
end
bus.on(INBOX, receive)

-- The oldest values, `most` of them at most, whose room is given back. A value that cannot be read
-- now (there may be no memory for it) leaves everything as it is.
local function take(id, most)
  local box = boxes[id]
  local values, size = {}, 0
  local begin = box.first
  local stop = min(begin + most - 1, box.last)
  for index = begin, stop do
    local packed = box[index]
    size = size + #packed + EACH
    values[index - begin + 1] = codec.unpack(packed)
  end
  for index = begin, stop do
    box[index] = nil
  end
  box.first = stop + 1
  box.bytes = box.bytes - size
  guarded(give_back, shared.slots[id % shared.capacity], id, size)
  local left = inbox.count(id)
  if left == 0 and #box.waiters == 0 then
    boxes[id] = nil
  end
  wake_first(box)
  inbox.changed(id, left)
  return values
end

-- Wait until it is the turn of the fiber `me` and messages are there, it is cancelled, its client
-- has left, or `seconds` are over.
local function await_turn(id, box, me, seconds)
  local deadline = seconds ~= nil and fibers.clock() + seconds or nil
  local woken, ready
  repeat
    woken = fibers.suspend_quietly(deadline and max(0, deadline - fibers.clock()))
    ready = box.waiters[1] == me and box.first <= box.last
  until ready or not woken or me.cancelled or boxes[id] ~= box
end

-- Let the running fiber wait in line; whether it was the first when it left.
local function stand_in_line(id, seconds)
  fibers.check()
  local box, me = box_of(id), fibers.current()
  local waiters = box.waiters
  waiters[#waiters + 1] = me
  local ok, raised = pcall(await_turn, id, box, me, seconds)
  local was_first = waiters[1] == me
  for index = 1, #waiters do
    if waiters[index] == me then
      table.remove(waiters, index)
      break
    end
  end
  if box.last < box.first and #waiters == 0 and boxes[id] == box then
    boxes[id] = nil
  end
  if not ok or me.cancelled then
    wake_first(box)
    fibers.check()
    error(raised, 0)
  end
  return was_first
end

-- Values for the session `id` of this worker, `most` at most, in order of their coming; waits up to
-- `seconds` (nil: for ever) while there are none, or while others wait for them. Empty when the
-- time is over or the client left. Raises when the fiber is cancelled or cannot wait.
function inbox.take(id, seconds, most)
  local box = boxes[id]
  local reserved = shared.slots[id % shared.capacity].inbox_bytes
  if reserved > (box == nil and 0 or box.bytes) then
    -- Who sent it may have told the client already.
    bus.drain()
    box = boxes[id]
  end
  local must_wait = inbox.count(id) == 0 or box.waiters[1] ~= nil
  if must_wait then
    local may_wait = seconds == nil or seconds > 0
    if not may_wait or not stand_in_line(id, seconds) or inbox.count(id) == 0 then
      return {}
    end
  end
  return take(id, most)
end

-- The client of a session has left: nobody will take what waits.
local left = sessions.left
function sessions.left(id)
  left(id)
  local box = boxes[id]
  if box == nil then
    return
  end
  boxes[id] = nil
  for index = 1, #box.waiters do
    fibers.wake(box.waiters[index])
  end
end

return inbox
