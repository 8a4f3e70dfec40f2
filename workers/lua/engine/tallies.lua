-- Sessions by user, counted for all workers: session.limits.per_user.
--
-- engine/logins moves a session from one user to another, for AUTH and box.session.su;
-- box.session.new asks before and moves when its session comes. Sessions whose clients are there
-- count, whatever still runs for others. guest counts for nobody, since everybody is guest before a
-- login, and neither does admin, who must be able to get in, nor consoles and the control socket.
--
--   tallies: an open hash table of user and number in the segment, under header.tally_lock
--
-- What counts in the end are the slots. All tallies are made anew from them when the process that
-- held the lock has died, when slots of a dead worker were freed (by the supervisor, which takes no
-- lock), and when too many users have left their tallies behind.

local catalog = require('beespace.engine.catalog')
local errors = require('beespace.box.error')
local ffi = require('ffi')
local locks = require('beespace.engine.locks')
local sessions = require('beespace.engine.sessions')
local shared = require('beespace.engine.table')
local state = require('beespace.engine.state')

local error, pcall, tonumber, tostring = error, pcall, tonumber, tostring
local ADMIN, NO_FD, FREE = state.ADMIN, shared.NO_FD, shared.FREE
local BINARY = shared.type.BINARY
local NAME = 'the tallies'
-- Spreads ids that follow each other.
local FACTOR = 40503

local tallies = {
  -- Sessions that a user may have, 0: any number.
  most = 0,
}

local header, records, size

-- Look at the tallies of the segment that engine/table is attached to.
function tallies.attach()
  header = shared.header
  records = ffi.cast('bee_tally_t *',
    ffi.cast('uint8_t *', header) + tonumber(header.tallies_offset))
  size = tonumber(header.tallies)
end

-- Whether sessions like that of the slot (nil: of a client) count for the user.
local function counts(slot, uid)
  return uid > ADMIN and (slot == nil or slot.type == BINARY and not shared.of_control(slot))
end

-- The tally of a user, made when there is none; nil when there is no room.
local function find(uid)
  local at = uid * FACTOR % size
  for _ = 1, size do
    local record = records[at]
    if record.uid == uid then
      return record
    elseif record.uid == 0 then
      record.sessions = 0
      record.uid = uid
      header.tallies_used = header.tallies_used + 1
      return record
    end
    at = (at + 1) % size
  end
  return nil
end

-- Slots that the supervisor has freed.
local function reclaimed()
  local sum, rows = 0, shared.rows
  for worker = 0, tonumber(header.workers) - 1 do
    sum = sum + tonumber(rows[worker].reclaimed)
  end
  return sum
end

local function count_anew(sum)
  local slots = ffi.cast('bee_slot_t *', ffi.cast('uint8_t *', header)
    + tonumber(header.slots_offset))
  ffi.fill(records, size * ffi.sizeof('bee_tally_t'))
  header.tallies_used, header.tallied = 0, sum
  for index = 0, tonumber(header.capacity) - 1 do
    local slot = slots[index]
    local uid = slot.uid
    if uid > ADMIN and slot.id ~= 0 and slot.state ~= FREE and slot.fd ~= NO_FD
       and counts(slot, uid) then
      local record = find(uid)
      record.sessions = record.sessions + 1
    end
  end
end

-- Take the lock, with tallies that are right.
local function lock()
  local inherited = locks.lock(header.tally_lock, NAME)
  local sum = reclaimed()
  if inherited or sum ~= tonumber(header.tallied) or header.tallies_used > size / 4 * 3 then
    count_anew(sum)
  end
end

local function unlock()
  locks.unlock(header.tally_lock)
end

local function refuse(uid, number)
  local user = catalog.principals[uid]
  local name = user ~= nil and user.name or tostring(uid)
  error(errors.client('PROTOCOL', ("session limit of user '%s' reached: %d of %d sessions are in "
    .. 'use'):format(name, number, tallies.most)))
end

-- Sessions of a user.
function tallies.of(uid)
  lock()
  local number = find(uid).sessions
  unlock()
  return number
end

-- Raise when the session of the slot (nil: one that is to come) may not become the user's.
function tallies.check(slot, uid)
  if tallies.most == 0 or not counts(slot, uid) or slot ~= nil and slot.uid == uid then
    return
  end
  local number = tallies.of(uid)
  if number >= tallies.most then
    refuse(uid, number)
  end
end

-- Change the user of a slot under the lock; false and the number there are when it may not be.
local function move(slot, uid, goes)
  local old = slot.uid
  if goes then
    local record = find(uid)
    if tallies.most > 0 and record.sessions >= tallies.most then
      return false, record.sessions
    end
    record.sessions = record.sessions + 1
  end
  if counts(slot, old) then
    local before = find(old)
    before.sessions = before.sessions - 1
  end
  slot.uid = uid
  return true
end

-- The session of the slot is the user's from now on. Raises when that would be too many, and
-- nothing has changed then.
function tallies.move(slot, uid)
  local goes = counts(slot, uid)
  if slot.uid == uid or slot.fd == NO_FD or not (goes or counts(slot, slot.uid)) then
    slot.uid = uid
    return
  end
  lock()
  local ok, number = move(slot, uid, goes)
  unlock()
  if not ok then
    refuse(uid, number)
  end
end

-- The client of a slot's session is gone.
function sessions.unplug(slot)
  if slot.fd == NO_FD or not counts(slot, slot.uid) or state.st.rehearsal ~= 0 then
    slot.fd = NO_FD
    return
  end
  -- Without the lock the tally stays too high until all are counted anew.
  local locked = pcall(lock)
  if locked then
    local record = find(slot.uid)
    record.sessions = record.sessions - 1
  end
  slot.fd = NO_FD
  if locked then
    unlock()
  end
end

return tallies
