-- Carries out orders for sessions of this worker: their end, or that of their requests.
--
--   another worker --bus: ids---------.
--   workers/enforcer.py --the ring--> look(): all words, a part a turn
--   engine/intake: it was to end before it came
--                                     |
--                                     v
--   carry_out(): the client is cut off, and on_disconnect follows   (engine/sessions)
--                requests that wait are cancelled
--
-- While code runs that does not return none of this happens: the enforcer then cuts clients off and
-- ends that code by itself, and what is left is done here afterwards. An on_disconnect that runs is
-- left alone; an on_connect is cancelled when its session shall end.

local bus = require('beespace.engine.bus')
local channels = require('beespace.engine.channels')
local complaints = require('beespace.engine.complaints')
local ffi = require('ffi')
local fibers = require('beespace.engine.fibers')
local orders = require('beespace.engine.orders')
local sessions = require('beespace.engine.sessions')
local shared = require('beespace.engine.table')
local state = require('beespace.engine.state')
local sys = require('beespace.engine.sys')

local error, min, pairs, pcall, tonumber = error, math.min, pairs, pcall, tonumber
local st, cur = state.st, state.cur
local CLAIMED, LIVE, NO_FD = shared.CLAIMED, shared.LIVE, shared.NO_FD
local CANCEL, KILL, NONE = orders.CANCEL, orders.KILL, orders.NONE
local KILLED = shared.reason.KILLED
local ID_BYTES = 8
-- Sessions that are ended in one go.
local SLICE = 100

local closing = {SLICE = SLICE}

local received = ffi.new('uint64_t[?]', SLICE)
local rung = ffi.new('uint64_t[1]')
-- Whether a fiber looks through all orders, and whether it has to begin anew.
local looking, again = false, false

-- Cut off the client of the session, if it is there.
local function cut_off(id, slot, wish)
  local fd = tonumber(slot.fd)
  if slot.state ~= LIVE or fd == NO_FD then
    return
  elseif wish == KILL then
    complaints.closing(id, shared.peer(id) or '?', 'killed')
  end
  if st.fd == fd then
    -- It is the one being read: what else has come of it is dropped.
    st.have = st.i
  end
  sessions.close(fd, KILLED)
end

-- Begin to carry out what is ordered for a session; what that is, NONE for nothing.
local function begin(id)
  local slot = shared.slots[id % shared.capacity]
  if slot.id ~= id or slot.worker ~= bus.index then
    return NONE
  end
  local wish = orders.wish(id)
  if wish == CANCEL then
    orders.done(id, CANCEL)
  elseif wish >= KILL then
    if slot.state == CLAIMED then
      -- Its connection is on the way; engine/intake asks when it has come.
      return NONE
    end
    cut_off(id, slot, wish)
    orders.done(id, KILL)
  end
  return wish
end

local function cancel(record, wish)
  if wish == nil or record.parting or record.arriving and wish == CANCEL then
    return
  elseif wish == CANCEL and record.console then
    -- It goes on with its next statement.
    record.interrupted = true
  end
  fibers.cancel(record)
end

-- Cancel what waits for the sessions in `wishes`, and the running request if it is one of theirs.
local function cancel_all(wishes)
  if cur.id ~= 0 and wishes[cur.id] then
    cancel(fibers.current(), wishes[cur.id])
  end
  for _, record in pairs(fibers.by_id) do
    cancel(record, wishes[record.session])
  end
end

-- Carry out what is ordered for the sessions `ids[first]` to `ids[last]`.
function closing.carry_out(ids, first, last)
  local wishes
  for index = first, last do
    local id = tonumber(ids[index])
    local wish = begin(id)
    if wish ~= NONE then
      wishes = wishes or {}
      wishes[id] = wish
    end
  end
  if wishes ~= nil then
    cancel_all(wishes)
  end
end

-- Let the worker of a row carry out what is ordered for its sessions `ids[first]` to `ids[last]`.
function closing.tell(row, ids, first, last)
  orders.raise_alarm(row)
  while first <= last do
    local count = min(SLICE, last - first + 1)
    local packed = ffi.new('uint64_t[?]', count)
    for index = 0, count - 1 do
      packed[index] = ids[first + index]
    end
    -- When too much waits for that worker its enforcer looks for orders all the same.
    bus.send(row, bus.KIND.KILL, ffi.string(packed, count * ID_BYTES))
    first = first + count
  end
end

bus.on(bus.KIND.KILL, function(payload)
  local count = #payload / ID_BYTES
  ffi.copy(received, payload, #payload)
  closing.carry_out(received, 0, count - 1)
end)

local function look_through()
  local ids = {}
  repeat
    again = false
    local at = 0
    while at ~= nil do
      local count
      count, at = orders.find(ids, SLICE, at)
      closing.carry_out(ids, 1, count)
      fibers.suspend_quietly(0)
    end
  until not again
end

local function look()
  local ok, raised = pcall(look_through)
  looking = false
  if not ok then
    error(raised, 0)
  end
end

local function answer_ring(fd)
  sys.C.read(fd, rung, ffi.sizeof(rung))
  again = true
  if not looking then
    looking = true
    fibers.start(look).euid = state.ADMIN
  end
end

-- Look for orders whenever the descriptor `fd`, an eventfd, is readable.
function closing.attach(fd)
  channels.add_channel(fd, answer_ring)
end

-- A session has come, on `fd`: it may be one that was to end before.
function sessions.came(id)
  if orders.wish(id) >= KILL then
    closing.carry_out({id}, 1, 1)
  end
end

return closing
