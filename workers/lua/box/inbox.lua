-- Messages between sessions, for applications: box.session.push_to and box.session.receive.
--
-- Both are defined here; engine/main loads this file. engine/inbox does the work, and
-- box/system_events tells who watches the key box.session.inbox how many messages wait.

local codec = require('beespace.engine.codec')
local errors = require('beespace.box.error')
local inbox = require('beespace.engine.inbox')
local session = require('beespace.box.session')
local state = require('beespace.engine.state')
local undelivered = require('beespace.box.undelivered')

local error, pcall, select, tonumber, type = error, pcall, select, tonumber, type
local cur = state.cur
local HUGE = math.huge
-- Larger numbers are not exact.
local MAX_ID = 9007199254740991

-- push_to(id, value): puts a value into the inbox of any session of the machine; true, or nil and
-- an error: no such session, closed, inbox full, a value that cannot be encoded.
function session.push_to(...)
  local id, value = ...
  local number = type(id) ~= 'string' and tonumber(id) or nil
  if select('#', ...) ~= 2 then
    error('session.push_to(sid, value): bad arguments', 0)
  elseif number == nil or number % 1 ~= 0 or number < 0 or number > MAX_ID then
    error('session.push_to(): expected a session id as 1 argument', 0)
  end
  local ok, packed = pcall(codec.pack_for_worker, value)
  if not ok then
    return nil, errors.from(packed)
  end
  local done, reason = inbox.put(number, packed)
  if not done then
    return nil, undelivered.error(reason, number)
  end
  return true
end

local function is_time(value)
  return value == nil or type(value) == 'number' and value >= 0
end

local function is_count(value)
  return value == nil or type(value) == 'number' and value >= 1 and value % 1 == 0
end

-- receive([timeout[, max]]): the values that have come for the session of the running request, an
-- array in order of their coming. Waits in its fiber while there are none; empty when the time is
-- over or the client has left. nil and an error where there is no session.
function session.receive(timeout, max)
  if not is_time(timeout) or not is_count(max) then
    error('session.receive([timeout[, max]]): bad arguments', 0)
  elseif cur.id == 0 then
    return nil, errors.client('WRONG_SESSION_TYPE', 'background')
  elseif session.closed() then
    return nil, errors.client('SESSION_CLOSED')
  end
  return inbox.take(cur.id, timeout, max or HUGE)
end

return session
