-- The request types beside the short cuts of engine/request.lua, one handler each.
--
-- handlers.other(code, p, at, e, o, start) answers the packet whose body is p[at..e). The short cut
-- for headers has not looked at the body, so other() checks that it is whole MessagePack.

local access = require('beespace.engine.access')
local answer = require('beespace.engine.answer')
local auth = require('beespace.engine.auth')
local call = require('beespace.engine.call')
local const = require('beespace.engine.const')
local decode = require('beespace.engine.decode')
local encode = require('beespace.engine.encode')
local errors = require('beespace.box.error')
local ffi = require('ffi')
local guests = require('beespace.engine.guests')
local identify = require('beespace.engine.identify')
local packet = require('beespace.engine.packet')
local reply = require('beespace.engine.reply')
local state = require('beespace.engine.state')
local views = require('beespace.engine.views')
local watch = require('beespace.engine.watch')

local copy, error, tonumber, unpack = ffi.copy, error, tonumber, unpack
local types, keys = const.type, const.key
local st, cur = state.st, state.cur

local handlers = {}

local function may_do_everything()
  return cur.rights ~= 0 and st.generation[0] == st.catalog
end

-- CALL, CALL_16 or EVAL with a body of any form; the end of its answer, which is to be finished, or
-- LOST.
function handlers.call(code, p, at, e)
  if code == types.EVAL then
    local source, arguments, count = packet.call_body(p, at, e, keys.EXPR, 'EXPR')
    if not may_do_everything() then
      access.check_eval()
    end
    return answer.results(call.compile(source)(unpack(arguments, 1, count)))
  end
  local name, arguments, count = packet.call_body(p, at, e, keys.FUNCTION_NAME, 'FUNCTION_NAME')
  local results = code == types.CALL_16 and answer.legacy or answer.results
  if not may_do_everything() then
    access.check_call(name)
  end
  local found, object = call.resolve(name)
  if object ~= nil then
    return results(found(object, unpack(arguments, 1, count)))
  end
  return results(found(unpack(arguments, 1, count)))
end

local by_type = {}

by_type[types.PING] = function()
  st.pings = st.pings + 1
  return answer.empty()
end

by_type[types.CALL_16] = function(p, at, e, o)
  st.calls = st.calls + 1
  local w = handlers.call(types.CALL_16, p, at, e)
  if w < 0 then
    return w
  end
  return reply.finish(o, st.w, w)
end

by_type[types.SELECT] = function(p, at, e, o, start)
  st.selects = st.selects + 1
  local w = reply.begin(o, start, st.sync)
  return reply.finish(o, start, views.select(p, at, e, o, w))
end

by_type[types.AUTH] = function(p, at, e)
  st.auths = st.auths + 1
  auth.login(p, at, e)
  return answer.empty()
end

by_type[types.ID] = function(p, at, e, o, start)
  st.others = st.others + 1
  local w = reply.begin(o, start, st.sync)
  return reply.finish(o, start, identify.answer(p, at, e, o, w))
end

-- The body of an answer as MessagePack that is there already.
local function copied(o, w, bytes)
  if w + #bytes > encode.limits.cap then
    error(encode.FULL, 0)
  end
  copy(o + w, bytes, #bytes)
  return w + #bytes
end

by_type[types.VOTE] = function(_, _, _, o, start)
  st.others = st.others + 1
  local w = reply.begin(o, start, st.sync)
  return reply.finish(o, start, copied(o, w, watch.kept('internal.ballot')))
end

local function event_key(p, at, e)
  st.others = st.others + 1
  local key = packet.fields(p, at, e, false)[keys.EVENT_KEY]
  if key == nil then
    packet.missing('EVENT_KEY')
  end
  return key
end

-- WATCH and UNWATCH have no answer.
by_type[types.WATCH] = function(p, at, e, _, start)
  watch.watch(event_key(p, at, e))
  return start
end

by_type[types.UNWATCH] = function(p, at, e, _, start)
  watch.unwatch(event_key(p, at, e))
  return start
end

by_type[types.WATCH_ONCE] = function(p, at, e, o, start)
  local packed = watch.value(event_key(p, at, e), cur.fd, cur.id)
  local w = reply.data_head(o, reply.begin(o, start, st.sync), packed and 1 or 0)
  return reply.finish(o, start, copied(o, w, packed or ''))
end

-- Answer a packet of any type at o+start; the end of the answer.
function handlers.other(code, p, at, e, o, start)
  if at < e and (code == types.NOP or decode.skip(p, at, e) ~= e) then
    error(decode.BAD)
  end
  packet.check_stream(code)
  guests.check(tonumber(code), at)
  local handle = by_type[code]
  if handle ~= nil then
    return handle(p, at, e, o, start)
  end
  st.others = st.others + 1
  if const.changes[code] then
    local w = reply.begin(o, start, st.sync)
    return reply.finish(o, start, views.change(code, p, at, e, o, w))
  elseif const.transaction_types[code] ~= nil then
    error(errors.client('UNSUPPORTED', 'beespace', 'transactions'))
  end
  error(errors.client('UNKNOWN_REQUEST_TYPE', tonumber(code) % 0x100000000))
end

return handlers
