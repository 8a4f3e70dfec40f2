-- The shared session table as a worker sees it.
--
-- The layout comes as C text from shm/layout.py and is checked field by field. Reading another
-- worker's slot takes no lock: check the id, copy, check the id again, and only then make a string
-- of the copy. The id is volatile, so both checks really read memory, and ffi.copy keeps them
-- apart. Slot states and who may change them: shm/states.py.

local bit = require('bit')
local ffi = require('ffi')

local SLOT_FREE, SLOT_CLAIMED, SLOT_LIVE, SLOT_CLOSING = 0, 1, 2, 3
-- Row states of shm/states.py.
local ABSENT, DRAINING = 0, 5
local PEER_BYTES, LISTENER_BYTES = 83, 96
-- fd of a slot whose socket is closed.
local NO_FD = 0xffffffff
local ADOPTED, OF_ADOPTED = 254, 'new'
-- Ids stay below; a larger number would wrap when it is compared with 64 bits.
local ID_LIMIT = 9007199254740992

local table_view = {
  FREE = SLOT_FREE,
  CLAIMED = SLOT_CLAIMED,
  LIVE = SLOT_LIVE,
  CLOSING = SLOT_CLOSING,
  -- Listener of a session whose descriptor came from its worker: shm.layout.ADOPTED.
  ADOPTED = ADOPTED,
  NO_FD = NO_FD,
  ID_LIMIT = ID_LIMIT,
  PEER_BYTES = PEER_BYTES,
  -- Room for a session's name and attributes.
  TEXT_BYTES = 60,
  -- Kinds of sessions: shm.states.SessionType.
  type = {BINARY = 1, CONSOLE = 2},
  -- Why a session ends: shm.states.EndReason.
  reason = {
    CLIENT = 1,
    ERROR = 2,
    KILLED = 3,
    IDLE = 4,
    LIMIT = 5,
    SHUTDOWN = 6,
    WORKER_DIED = 7,
    REFUSED = 8,
    CREDENTIALS = 9,
    LOGIN_TIMEOUT = 10,
    MAX_AGE = 11,
  },
}

local band = bit.band
local copy, to_string = ffi.copy, ffi.string
local peer_copy = ffi.new('uint8_t[?]', PEER_BYTES)

-- Peers that were asked for last, by their ids modulo KNOWN: an id has the same peer for ever, and
-- to find the Lua string of some bytes among all others takes longer, how much is chance.
local KNOWN = 1024
local known_ids, known_peers = ffi.new('double[?]', KNOWN), {}
for place = 0, KNOWN - 1 do
  known_peers[place] = ''
end

local slots, capacity

-- Declare the layout and compare it: `facts` lists "record field offset" lines, a line without a
-- field gives the size. Raises on the first difference.
function table_view.declare(cdef, facts)
  ffi.cdef(cdef)
  for record, field, offset in facts:gmatch('(%S+) (%S*) (%d+)\n') do
    local mine = field == '' and ffi.sizeof(record) or ffi.offsetof(record, field)
    if mine ~= tonumber(offset) then
      error(('layout differs: %s.%s is %s here, %s in Python'):format(
        record, field, tostring(mine), offset), 0)
    end
  end
end

-- Look at the segment mapped at `address`; `index` is this worker's row.
function table_view.attach(address, index)
  local base = ffi.cast('uint8_t *', address)
  local header = ffi.cast('bee_header_t *', base)
  capacity = tonumber(header.capacity)
  slots = ffi.cast('bee_slot_t *', base + tonumber(header.slots_offset))
  table_view.header = header
  table_view.slots = slots
  table_view.capacity = capacity
  table_view.rows = ffi.cast('bee_row_t *', base + tonumber(header.rows_offset))
  table_view.row = table_view.rows + index
end

-- Sessions in the table, from the counters, and how many there may be without the control socket's.
function table_view.population()
  local header, rows = table_view.header, table_view.rows
  local live = header.claimed - header.released
  for worker = 0, tonumber(header.workers) - 1 do
    live = live - rows[worker].freed - rows[worker].reclaimed
  end
  return tonumber(live), capacity - tonumber(header.reserved)
end

-- Whether a row has a worker, or is going to have one again.
function table_view.is_used(row)
  local at = table_view.rows[row]
  return at.on_duty == 1 or at.state ~= ABSENT
end

-- The row of the worker on duty that people call `number`; nil when there is none.
function table_view.row_of(number)
  for row = 0, tonumber(table_view.header.workers) - 1 do
    local at = table_view.rows[row]
    if at.on_duty == 1 and at.number == number then
      return row
    end
  end
  return nil
end

-- Rows of the workers that have sessions: those on duty by their numbers, then those that drain.
function table_view.crew()
  local found, draining = {}, {}
  for row = 0, tonumber(table_view.header.workers) - 1 do
    local at = table_view.rows[row]
    if at.on_duty == 1 then
      found[#found + 1] = row
    elseif at.state == DRAINING then
      draining[#draining + 1] = row
    end
  end
  table.sort(found, function(a, b) return table_view.rows[a].number < table_view.rows[b].number end)
  for _, row in ipairs(draining) do
    found[#found + 1] = row
  end
  return found
end

-- Where the generation of the users and rights is.
function table_view.catalog_generation()
  local at = ffi.offsetof('bee_header_t', 'catalog_generation')
  return ffi.cast('volatile double *', ffi.cast('uint8_t *', table_view.header) + at)
end

-- Work on other slots and another row from now on; returns those that were used before.
function table_view.swap(other_slots, other_capacity, other_row)
  local old_slots, old_capacity, old_row = slots, capacity, table_view.row
  ffi.fill(known_ids, ffi.sizeof(known_ids))
  slots, capacity = other_slots, other_capacity
  table_view.slots, table_view.capacity, table_view.row = slots, capacity, other_row
  return old_slots, old_capacity, old_row
end

-- Whether the client of a slot's session is there, as far as its worker knows.
function table_view.is_open(slot)
  return slot.state == SLOT_LIVE and slot.fd ~= NO_FD
end

-- Whether a slot's session came over the control socket.
function table_view.of_control(slot)
  return slot.listener == table_view.header.control_listener
end

-- Whether the session (a whole number) is in the table.
function table_view.exists(id)
  return id > 0 and id < ID_LIMIT and slots[id % capacity].id == id
end

-- The peer in a slot that was the session's just now; nil when it is not any more, or has none.
local function read_peer(slot, id)
  local length = slot.peer_len
  copy(peer_copy, slot.peer, PEER_BYTES)
  if slot.id ~= id or length > PEER_BYTES or length == 0 then
    return nil
  end
  local peer, place = to_string(peer_copy, length), band(id, KNOWN - 1)
  -- Code that runs too long may be ended between any two of these lines.
  known_ids[place] = 0
  known_peers[place] = peer
  known_ids[place] = id
  return peer
end

-- Address text of the session (a whole number), nil when it is not in the table or has none.
function table_view.peer(id)
  if not (id > 0 and id < ID_LIMIT) then
    return nil
  end
  local slot = slots[id % capacity]
  if slot.id ~= id then
    return nil
  end
  local place = band(id, KNOWN - 1)
  if known_ids[place] == id then
    return known_peers[place]
  end
  return read_peer(slot, id)
end

-- URIs of listeners by their index; they stay the same while the server runs.
local listeners = {}

-- URI of the listener with this index, 'new' for sessions of box.session.new; nil when there is
-- none.
function table_view.listener(index)
  local header = table_view.header
  if index == ADOPTED then
    return OF_ADOPTED
  elseif index >= header.listeners then
    return nil
  end
  local found = listeners[index]
  if found == nil then
    found = to_string(header.listener_names + index * LISTENER_BYTES)
    listeners[index] = found
  end
  return found
end

-- Descriptor of the session in the worker that owns it, nil when it is not in the table.
function table_view.descriptor(id)
  if not (id > 0 and id < ID_LIMIT) then
    return nil
  end
  local slot = slots[id % capacity]
  local fd, is_open = tonumber(slot.fd), table_view.is_open(slot)
  if slot.id ~= id then
    return nil
  end
  return is_open and fd or -1
end

return table_view
