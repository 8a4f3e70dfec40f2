-- Who watches which key: the state of every subscription, and when it is told of a new value.
--
-- A session subscribes with WATCH (engine/handlers), Lua with box.watch (box/events). Values are in
-- engine/events, which says here when one has changed. A subscription is in one of three states:
--
--            value changed                  told                       acknowledged
--   IDLE ------------------> DUE ------------------------> SENT ---------------------> DUE
--     ^                       |  nothing new to tell
--     +-----------------------+
--
-- What is due is told at the end of the turn, once, with the newest value; while a subscription is
-- SENT nothing is told, and what came meanwhile is found when it is acknowledged. So values in
-- between are lost and the last one never is. A session that does not read is not told anything
-- until it has read.
--
-- A key may also have a value of its own for each session: set_local and notify_local.

local bit = require('bit')
local codec = require('beespace.engine.codec')
local const = require('beespace.engine.const')
local encode = require('beespace.engine.encode')
local errors = require('beespace.box.error')
local events = require('beespace.engine.events')
local ffi = require('ffi')
local output = require('beespace.engine.output')
local sessions = require('beespace.engine.sessions')
local state = require('beespace.engine.state')

local bswap = bit.bswap
local error, next, pairs, tonumber = error, next, pairs, tonumber
local st, cur, o = state.st, state.cur, state.output
local keys = const.key

local IDLE, DUE, SENT, GONE = 0, 1, 2, 3
-- Memory that the subscriptions of one session may take, and what one takes beside its key.
local MOST_BYTES, EACH = 2 * 1024 * 1024, 200
-- Bytes of events that are queued before the sockets are given what they take.
local PORTION = 4 * 1024 * 1024
-- Numbers up to here are exact and stay numbers; larger syncs are 64-bit cdata.
local MAX_NUMBER = 99999999999999

local watch = {
  -- Called with the key of a subscription that has ended; box/system_events sets it.
  ended = function(_) end,
}

-- Subscriptions by key, as sets; of sessions by id: {keys = by key, bytes = memory, held = list}.
local by_key, by_session = {}, {}
-- Subscriptions to look at, st.due of them, and an empty list to change it for.
local due, spare = {}, {}
-- How the values of local keys are asked for, by key.
local getters = {}
-- Values that this worker keeps for keys which have none in the store, and their versions, which
-- are negative: {packed =, version =} by key.
local kept = {}

local function schedule(watcher)
  local count = st.due + 1
  watcher.state = DUE
  due[count] = watcher
  st.due = count
end

local function add(watcher)
  local set = by_key[watcher.key]
  if set == nil then
    set = {}
    by_key[watcher.key] = set
  end
  set[watcher] = true
  schedule(watcher)
end

local function remove(watcher)
  watcher.state = GONE
  local set = by_key[watcher.key]
  set[watcher] = nil
  if next(set) == nil then
    by_key[watcher.key] = nil
  end
  watch.ended(watcher.key)
end

-- The value of a key and its version; a local key is asked for the session `id`.
function watch.value(key, fd, id)
  local getter = getters[key]
  if getter ~= nil then
    return id ~= nil and getter(fd, id) or nil, 0
  end
  local packed, version = events.get(key)
  local own = packed == nil and kept[key]
  if own then
    return own.packed, own.version
  end
  return packed, version
end

-- Sessions --------------------------------------------------------------------------------------

local function running_sync()
  local sync = bswap(st.sync)
  local number = tonumber(sync)
  return number <= MAX_NUMBER and number or sync
end

local function subscribe(id, mine, key)
  local bytes = mine.bytes + EACH + #key
  if bytes > MOST_BYTES then
    error(errors.client('UNSUPPORTED', 'beespace', 'more watched keys in one session'))
  end
  mine.bytes = bytes
  local watcher = {key = key, fd = cur.fd, id = id, sync = running_sync(), news = 0}
  mine.keys[key] = watcher
  add(watcher)
end

-- The running request asks for events of a key, or acknowledges the last one.
function watch.watch(key)
  local id = cur.id
  local mine = by_session[id]
  if mine == nil then
    mine = {keys = {}, bytes = 0}
    by_session[id] = mine
  end
  local watcher = mine.keys[key]
  if watcher == nil then
    subscribe(id, mine, key)
    return
  end
  watcher.sync = running_sync()
  watch.acknowledge(watcher)
end

-- The running request wants no more events of a key.
function watch.unwatch(key)
  local mine = by_session[cur.id]
  local watcher = mine and mine.keys[key]
  if watcher ~= nil then
    mine.keys[key] = nil
    mine.bytes = mine.bytes - EACH - #key
    remove(watcher)
  end
end

-- A session's client has left.
local function forget(id)
  local mine = by_session[id]
  if mine ~= nil then
    by_session[id] = nil
    for _, watcher in pairs(mine.keys) do
      remove(watcher)
    end
  end
end

local left = sessions.left

function sessions.left(id)
  left(id)
  forget(id)
end

-- Sessions that watch a key, in this worker; 0 when none does.
function watch.count(key)
  local count = 0
  for watcher in pairs(by_key[key] or {}) do
    count = count + (watcher.id ~= nil and 1 or 0)
  end
  return count
end

-- Local keys ------------------------------------------------------------------------------------

-- Let a key have a value for each session: getter(fd, session_id) answers it, packed, or nil.
function watch.set_local(key, getter)
  getters[key] = getter
end

-- The value of a local key has changed for one session.
function watch.notify_local(session_id, key)
  local mine = by_session[session_id]
  local watcher = mine and mine.keys[key]
  if watcher ~= nil then
    watcher.news = watcher.news + 1
    if watcher.state == IDLE then
      schedule(watcher)
    end
  end
end

-- Lua -------------------------------------------------------------------------------------------

-- Watch a key from Lua: tell(watcher, packed or nil) is called when there is something new, and
-- nothing more until acknowledge(watcher). The subscription.
function watch.listen(key, tell)
  local watcher = {key = key, tell = tell}
  add(watcher)
  return watcher
end

-- End a subscription of Lua; false when it has ended.
function watch.ignore(watcher)
  if watcher.state == GONE then
    return false
  end
  remove(watcher)
  return true
end

-- What was told is dealt with.
function watch.acknowledge(watcher)
  if watcher.state == SENT then
    schedule(watcher)
  end
end

-- Telling ---------------------------------------------------------------------------------------

-- The store has a new value for a key, or none any more.
function watch.changed(key)
  for watcher in pairs(by_key[key] or {}) do
    if watcher.state == IDLE then
      schedule(watcher)
    end
  end
end

-- Keep a value for a key as long as the store has none.
function watch.keep(key, packed)
  local before = kept[key]
  kept[key] = {packed = packed, version = before and before.version - 1 or -1}
  watch.changed(key)
end

-- The value kept for a key, whatever the store has.
function watch.kept(key)
  return kept[key].packed
end

-- The body of an EVENT.
local function event_body(key, packed)
  local head = string.char(packed == nil and 0x81 or 0x82, keys.EVENT_KEY) .. codec.pack(key)
  return packed == nil and head or head .. string.char(keys.EVENT_DATA) .. packed
end

-- Queue an EVENT for a session; its length. No batch is open, so the shared output is free.
local function send(watcher, body)
  o[5], o[6], o[7], o[8] = 0x82, keys.REQUEST_TYPE, const.type.EVENT, keys.SYNC
  local w = encode.encode(o, 9, watcher.sync, 0)
  ffi.copy(o + w, body, #body)
  w = w + #body
  o[0] = 0xce
  ffi.cast('uint32_t *', o + 1)[0] = bswap(w - 5)
  output.later(watcher.fd, o, w)
  return w
end

-- The value of a watcher's key, its version, and the body of an EVENT with it; those of a key that
-- is not local are looked up once a turn.
local function news(watcher, known)
  local key = watcher.key
  if getters[key] ~= nil then
    local packed = watch.value(key, watcher.fd, watcher.id)
    return packed, watcher.news, event_body(key, packed)
  end
  local found = known[key]
  if found == nil then
    local packed, version = watch.value(key)
    found = {packed = packed, version = version, body = event_body(key, packed)}
    known[key] = found
  end
  return found.packed, found.version, found.body
end

-- Tell what there is to tell; bytes that were queued.
local function tell(watcher, known)
  local packed, version, body = news(watcher, known)
  if watcher.version == version then
    watcher.state = IDLE
    return 0
  end
  watcher.version = version
  watcher.state = SENT
  if watcher.tell == nil then
    return send(watcher, body)
  end
  watcher.tell(watcher, packed)
  return 0
end

-- Keep what is due until its session has read; output says when.
local function hold(watcher)
  local mine = by_session[watcher.id]
  local held = mine.held
  if held == nil then
    mine.held = {watcher}
  else
    held[#held + 1] = watcher
  end
end

function output.relieved(fd)
  local mine = by_session[sessions.all[fd].id]
  local held = mine and mine.held
  if held ~= nil then
    mine.held = nil
    for index = 1, #held do
      if held[index].state == DUE then
        schedule(held[index])
      end
    end
  end
end

-- Tell all that is due. What becomes due meanwhile has its turn later.
local function tell_due()
  local list, count, known, queued = due, st.due, {}, 0
  due, st.due = spare, 0
  for index = 1, count do
    local watcher = list[index]
    list[index] = nil
    if watcher.state == DUE then
      if watcher.tell == nil and output.is_full(watcher.fd) then
        hold(watcher)
      else
        queued = queued + tell(watcher, known)
      end
    end
    if queued > PORTION then
      queued = 0
      output.send_unsent()
    end
  end
  spare = list
end

-- Look for new values, and tell who watches them; called once a turn, while no batch is open.
function watch.turn()
  if events.moved() then
    events.poll()
  end
  if st.due ~= 0 then
    tell_due()
  end
end

-- Whether there is something to do in the next turn already.
function watch.is_busy()
  return st.due ~= 0 or events.now.untold ~= 0
end

events.listen(watch.changed)

return watch
