-- Failed logins, counted for all workers: by user name and by address of the client.
--
-- engine/auth asks attempt() whether a login may succeed, box/security lists and resets. The
-- records are an array in the segment, which everybody changes under header.failure_lock, so two
-- logins at the same time are two: no worker lets an attempt pass that another one's count forbids.
--
--   array:  known users (1/4) | unknown names (1/4) | addresses (1/2)
--
-- A record is one of the PROBES behind the place that its hash says. Where all of them are taken,
-- the one with the oldest failure is given up. So who makes up names pushes nothing out but made-up
-- names, and the array never grows. The hash has a secret of this server in it, so nobody can
-- choose names or addresses that meet.
--
-- The delay follows Tarantool's two settings: a name or an address may fail 1 + `retries` times in
-- `delay` seconds, counted from the first of these failures; until they are over, everything it
-- tries is refused unseen. A success forgets the failures.

local ffi = require('ffi')
local bridge = require('beespace.bridge')
local locks = require('beespace.engine.locks')
local shared = require('beespace.engine.table')
local sys = require('beespace.engine.sys')

local cast, copy, to_string = ffi.cast, ffi.copy, ffi.string
local min, tonumber = math.min, tonumber

local NAME = 'the failed logins'
local PROBES = 64
-- Bytes of a name that count; no user's is longer.
local LONGEST = 65536
local KNOWN, UNKNOWN, ADDRESS = 1, 2, 3
local RIGHT, WRONG, REFUSED = 1, 2, 3

local failures = {
  RIGHT = RIGHT,
  WRONG = WRONG,
  REFUSED = REFUSED,
  -- Seconds, 0: no delay; failures that are allowed before it.
  delay = 0,
  retries = 0,
}

local header, secret, record_p, records, count, size, most_text
-- First record and number of records of each kind.
local parts = {}

-- Look at the failures of the segment that engine/table is attached to.
function failures.attach()
  record_p = ffi.typeof('bee_failure_t *')
  size = ffi.sizeof('bee_failure_t')
  most_text = size - ffi.offsetof('bee_failure_t', 'text')
  header = shared.header
  secret = to_string(header.boot_id, ffi.sizeof(header.boot_id))
  count = tonumber(header.failures)
  records = cast(record_p, cast('uint8_t *', header) + tonumber(header.failures_offset))
  parts[KNOWN] = {from = 0, count = count / 4}
  parts[UNKNOWN] = {from = count / 4, count = count / 4}
  parts[ADDRESS] = {from = count / 2, count = count / 2}
end

-- A number from 1 to 2^48 that stands for a text.
local function hash(text)
  local bytes = bridge.digest('sha1', secret .. text)
  local number = 0
  for index = 1, 6 do
    number = number * 256 + bytes:byte(index)
  end
  return number + 1
end

-- What is counted: kind, text and hash of a name or an address.
local function subject(kind, text)
  text = text:sub(1, LONGEST)
  return {kind = kind, text = text, key = hash(text)}
end

-- The record of a subject, nil when it has none, and the one to take for it.
local function find(wanted)
  local part = parts[wanted.kind]
  local key, free = wanted.key, nil
  for probe = 0, PROBES - 1 do
    local record = records + part.from + (key + probe) % part.count
    if record.key == key then
      return record, record
    elseif free == nil or free.key ~= 0 and (record.key == 0 or record.last < free.last) then
      free = record
    end
  end
  return nil, free
end

-- Put a subject in the place of whatever the record was.
local function take(record, wanted)
  record.key = 0
  record.first, record.last, record.count = 0, 0, 0
  record.refused, record.consecutive, record.recent = 0, 0, 0
  record.kind = wanted.kind
  record.length = min(#wanted.text, most_text)
  copy(record.text, wanted.text, record.length)
  record.key = wanted.key
end

-- Seconds until a record's subject may try again, at `now` of the monotonic clock; 0: it may.
local function wait_of(record, now)
  local left = record.first + failures.delay - now
  if failures.delay > 0 and record.recent > failures.retries and left > 0 then
    return left
  end
  return 0
end

local function count_failure(record, now, time)
  if record.recent == 0 or now - record.first >= failures.delay then
    record.first = now
    record.recent = 0
  end
  record.recent = record.recent + 1
  record.consecutive = record.consecutive + 1
  record.count = record.count + 1
  record.last = time
end

local function forget(record)
  if record ~= nil then
    record.recent, record.consecutive = 0, 0
  end
end

local function refuse(record, now, time)
  if record == nil or wait_of(record, now) == 0 then
    return false
  end
  record.refused = record.refused + 1
  record.last = time
  return true
end

-- attempt() under the lock.
local function decide(user, address, right, spare_address)
  local now, time = sys.clock(sys.CLOCK_MONOTONIC), sys.clock(sys.CLOCK_REALTIME)
  local of_user, place = find(user)
  local of_address, other_place = find(address)
  local user_refused, address_refused = refuse(of_user, now, time), refuse(of_address, now, time)
  if user_refused or address_refused then
    return REFUSED
  elseif right then
    forget(of_user)
    if not spare_address then
      forget(of_address)
    end
    return RIGHT
  end
  if of_user == nil then
    take(place, user)
  end
  if of_address == nil then
    take(other_place, address)
  end
  count_failure(place, now, time)
  count_failure(other_place, now, time)
  return WRONG, place.consecutive, tonumber(place.count)
end

-- An attempt to log in by the user `name`, which exists or not (`known`), from `address`; whether
-- the proof was right. RIGHT, WRONG with the failures of that name since its last success and in
-- all, or REFUSED while a delay runs. `spare_address`: a success says nothing about the address,
-- since anybody could have it.
function failures.attempt(name, known, address, right, spare_address)
  local user = subject(known and KNOWN or UNKNOWN, name)
  return locks.guarded(header.failure_lock, NAME, decide, user, subject(ADDRESS, address), right,
    spare_address)
end

-- Listing ---------------------------------------------------------------------------------------

local function copy_all()
  local bytes = ffi.new('uint8_t[?]', count * size)
  copy(bytes, records, count * size)
  return bytes
end

local function row_of(record, now)
  local text = to_string(record.text, record.length)
  local wait = wait_of(record, now)
  local row = {
    count = tonumber(record.count),
    consecutive = record.consecutive,
    refused = record.refused,
    last = record.last,
    delayed = wait > 0 and wait or nil,
  }
  if record.kind == ADDRESS then
    row.peer = text
  else
    row.user, row.known = text, record.kind == KNOWN
  end
  return row
end

local function newest_first(one, other)
  return one.last > other.last
end

-- Every name and address that has failed, the newest first: {user =, known = or peer =, count =,
-- consecutive =, refused =, last = (seconds since the epoch), delayed = seconds left, if any}.
function failures.list()
  local bytes = locks.guarded(header.failure_lock, NAME, copy_all)
  local copies, now, list = cast(record_p, bytes), sys.clock(sys.CLOCK_MONOTONIC), {}
  for index = 0, count - 1 do
    if copies[index].key ~= 0 then
      list[#list + 1] = row_of(copies[index], now)
    end
  end
  table.sort(list, newest_first)
  return list
end

local function drop(text)
  local dropped = 0
  for kind = KNOWN, ADDRESS do
    local record = find(subject(kind, text))
    if record ~= nil then
      record.key = 0
      dropped = dropped + 1
    end
  end
  return dropped
end

local function drop_all()
  local dropped = 0
  for index = 0, count - 1 do
    if records[index].key ~= 0 then
      records[index].key = 0
      dropped = dropped + 1
    end
  end
  return dropped
end

-- Forget all about a user name or an address, or about everybody; how many records there were.
function failures.reset(text)
  if text == nil then
    return locks.guarded(header.failure_lock, NAME, drop_all)
  end
  return locks.guarded(header.failure_lock, NAME, drop, text)
end

return failures
