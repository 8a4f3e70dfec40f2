-- box.session: what the running code asks about its own and about other sessions.
--
-- The same table is box.session, db.session and the global session. Ids, existence and peers come
-- from the shared table, so every worker answers for every session; storage lives in the worker
-- that owns the session and goes with it. Where no session is (the application file), id() is 0.
--
-- Results of exists and peer follow compat.session_results: 'old' gives 1 or 0 and '0.0.0.0:0',
-- 'new' gives booleans and raises for a session that does not exist.

local bit = require('bit')
local catalog = require('beespace.engine.catalog')
local fibers = require('beespace.engine.fibers')
local flags = require('beespace.box.compat_flags')
local session_settings = require('beespace.engine.session_settings')
local sessions = require('beespace.engine.sessions')
local settings = require('beespace.box.settings')
local shared = require('beespace.engine.table')
local state = require('beespace.engine.state')

local bswap = bit.bswap
local error, select, tonumber, type = error, select, tonumber, type
local floor, ceil = math.floor, math.ceil
local shared_exists, shared_peer = shared.exists, shared.peer
local cur, st = state.cur, state.st

local NO_PEER = '0.0.0.0:0'
local CONSOLE = shared.type.CONSOLE
-- Numbers up to here are exact and stay numbers; larger syncs are 64-bit cdata.
local MAX_NUMBER = 99999999999999

local session = {settings = settings}

-- Id of the current session, 0 where there is none.
function session.id()
  return cur.id
end

local function whole(number)
  if number ~= number then
    return 0
  end
  return number >= 0 and floor(number) or ceil(number)
end

-- An id as exists and fd take it: numbers, numeric strings and integers of C.
local function integer(value)
  local kind = type(value)
  if kind == 'number' then
    return whole(value)
  elseif kind == 'string' or kind == 'cdata' then
    local number = tonumber(value)
    if number ~= nil then
      return whole(number)
    end
  end
  error('expected int64_t as -1 argument', 0)
end

local function exists_result(found)
  if flags.session_results == 0 then
    return found and 1 or 0
  end
  return found
end

-- Whether a session exists: exists([id]); see the head of this file for the result.
function session.exists(...)
  local count = select('#', ...)
  local id = ...
  if count == 0 then
    id = cur.id
  elseif count > 1 then
    error('session.exists(sid): bad arguments', 0)
  elseif type(id) ~= 'number' or id % 1 ~= 0 then
    id = integer(id)
  end
  return exists_result(shared_exists(id))
end

local function peer_id(value)
  local kind = type(value)
  local number = (kind == 'number' or kind == 'string') and tonumber(value)
  if not number then
    error(("bad argument #1 to '?' (number expected, got %s)"):format(kind), 0)
  end
  return whole(number)
end

-- What is known of the running code's own session when that was a dead worker's, else nil.
local function lost_field(name)
  local record = cur.id ~= 0 and fibers.current().lost
  return record and record[name] or nil
end

local function no_peer(id, asked)
  if flags.session_results == 0 then
    return NO_PEER
  elseif not asked or shared_exists(id) then
    return nil
  end
  error('session.peer(): session does not exist', 0)
end

-- Address of a session's client: peer([id]).
function session.peer(...)
  local count = select('#', ...)
  local id = ...
  if count == 0 then
    id = cur.id
  elseif count > 1 then
    error('session.peer(sid): bad arguments', 0)
  elseif type(id) ~= 'number' or id % 1 ~= 0 then
    id = peer_id(id)
  end
  return shared_peer(id) or count == 0 and lost_field('peer') or no_peer(id, count == 1)
end

-- Socket of a session in the worker that owns it: fd([id]); -1 when there is none.
function session.fd(...)
  local count = select('#', ...)
  if count == 0 then
    return cur.fd
  elseif count > 1 then
    error('session.fd(sid): bad arguments', 0)
  end
  local found = shared.descriptor(integer((...)))
  if found == nil then
    error('session.fd(): session does not exist', 0)
  end
  return found
end

-- Sync of the request being executed, 0 outside of requests and when its client has left.
function session.sync()
  if cur.fd < 0 then
    return 0
  end
  local sync = bswap(st.sync)
  local number = tonumber(sync)
  return number <= MAX_NUMBER and number or sync
end

-- Kind of the current session.
function session.type()
  local id = cur.id
  if id == 0 then
    return 'background'
  end
  local slot = shared.slots[id % shared.capacity]
  local kind = slot.id == id and slot.type or lost_field('type')
  return kind == CONSOLE and 'console' or 'binary'
end

-- Whether the client of the running request has left; its answer will reach nobody.
function session.closed()
  local id = cur.id
  if id == 0 or sessions.has_client() then
    return false
  elseif fibers.current().visit ~= id then
    return true
  end
  -- A console's statement, which runs in another worker than its session's.
  local slot = shared.slots[id % shared.capacity]
  return slot.id ~= id or not shared.is_open(slot)
end

-- The name of a user, nil once it has been dropped.
local function name_of(uid)
  local found = catalog.principals[uid]
  return found and found.name
end

-- Number and name of the session's user.
function session.uid()
  return cur.uid
end

function session.user()
  local uid = cur.uid
  -- Its end may be what the user was dropped for, and on_disconnect wants to know who it was.
  return name_of(uid) or cur.fd < 0 and catalog.former(uid) or nil
end

-- Number and name of the user whose rights apply now.
function session.euid()
  return cur.euid
end

function session.effective_user()
  return name_of(cur.euid)
end

-- Storage tables by session id, made at first use.
local storages = {}

-- Background code has a table for each fiber, which goes with it.
local function own_storage()
  local record = fibers.current()
  local found = record.session_storage
  if found == nil then
    found = {}
    record.session_storage = found
  end
  return found
end

local function storage()
  local id = cur.id
  if id == 0 then
    return own_storage()
  end
  local found = storages[id]
  if found == nil then
    found = {}
    storages[id] = found
  end
  return found
end

local ended = sessions.ended
function sessions.ended(id)
  ended(id)
  if storages[id] ~= nil then
    storages[id] = nil
  end
  session_settings.forget(id)
end

return setmetatable(session, {
  aggregate_storage = storages,
  known = {storage = true},
  __index = function(_, key)
    if key == 'storage' then
      return storage()
    end
    return nil
  end,
})
