-- Requests that the application answers itself: what box.iproto.override has set.
--
-- Called by engine/request for every packet while something is set (st.overrides), before the
-- packet is looked at any further; the access log (engine/witness) lives on that, too. A callback
-- gets header and body as objects and says true when it has dealt with the request, answer
-- included, or false; then the next one is asked, in the end the server itself. The order: set by
-- number, by name, and for types without a name what is set for unknown types, by number (-1) and
-- by name.
--
-- What guests may not ask (engine/guests) no callback sees. A callback may wait. Then the loop has
-- gone on, and the packet is executed from a copy when it falls through to the server.

local ffi = require('ffi')
local answer = require('beespace.engine.answer')
local decode = require('beespace.engine.decode')
local encode = require('beespace.engine.encode')
local errors = require('beespace.box.error')
local flight = require('beespace.engine.flight')
local guests = require('beespace.engine.guests')
local iproto_const = require('beespace.box.iproto_const')
local output = require('beespace.engine.output')
local packet = require('beespace.engine.packet')
local packet_object = require('beespace.box.packet_object')
local sessions = require('beespace.engine.sessions')
local state = require('beespace.engine.state')
local witness = require('beespace.engine.witness')

local error, tonumber = error, tonumber
local to_string = ffi.string
local types = iproto_const.type
local UNKNOWN = types.UNKNOWN
local LOST = answer.LOST
local p, st, cur = state.input, state.st, state.cur

-- Body of a packet that has none.
local EMPTY = '\128'

local override = {}

-- True while a packet is executed that the callbacks have seen already.
local seen = false

-- Callbacks by type, set by number and by name.
local numbered, named = {}, {}

-- Types that a client may send and that have a name.
local requests = {}
for _, number in pairs(types) do
  requests[number] = true
end
for _, name in ipairs({'UNKNOWN', 'OK', 'EVENT', 'CHUNK', 'TYPE_ERROR'}) do
  requests[types[name]] = nil
end

-- Set the callback of a type, by its number or by its name; nil takes it away.
function override.set(code, by_name, callback)
  local callbacks = by_name and named or numbered
  local before = callbacks[code] ~= nil and 1 or 0
  callbacks[code] = callback
  st.overrides = st.overrides - before + (callback ~= nil and 1 or 0)
end

-- Whether the callback, if any, has dealt with the request.
local function dealt(callback, header, body)
  if callback == nil then
    return false
  end
  local said = callback(header, body)
  if said ~= true and said ~= false then
    error(errors.client('PROC_LUA', 'Invalid Lua IPROTO handler return type: expected boolean'))
  end
  return said
end

local function ask(head, rest, first, second, third, fourth)
  local header = packet_object.make(head)
  local body = packet_object.make(rest ~= '' and rest or EMPTY)
  return dealt(first, header, body) or dealt(second, header, body)
    or dealt(third, header, body) or dealt(fourth, header, body)
end

-- Let the server execute a packet whose callbacks have waited; LOST.
local function execute_late(bytes)
  if not sessions.has_client() then
    return answer.nothing()
  end
  ffi.copy(p, bytes, #bytes)
  st.i = #bytes
  seen = st.overrides ~= 0
  encode.settings.error_ext = sessions.all[cur.fd].error_ext
  local w = flight.execute(0)
  if w >= 0 then
    if w > 0 then
      output.later(cur.fd, state.output, w)
    end
    flight.release()
  end
  return LOST
end

-- Offer the packet input[i .. st.i), whose body begins at `at`, to the callbacks of its type: the
-- end of the answers so far when one of them has dealt with it, LOST when it was answered late,
-- else nil.
function override.run(code, i, at)
  if seen then
    seen = false
    return nil
  elseif witness.is_due() then
    return witness.follow(i)
  end
  code = tonumber(code)
  guests.check(code, at)
  local first, second, third, fourth = numbered[code], named[code], nil, nil
  if not requests[code] then
    third, fourth = numbered[UNKNOWN], named[UNKNOWN]
  end
  if (first or second or third or fourth) == nil then
    return nil
  end
  packet.check_stream(code)
  local e = st.i
  if at < e and decode.skip(p, at, e) ~= e then
    error(decode.BAD)
  end
  local head, rest = to_string(p + i, at - i), to_string(p + at, e - at)
  if ask(head, rest, first, second, third, fourth) then
    st.others = st.others + 1
    return answer.nothing()
  elseif st.away ~= 0 then
    return execute_late(head .. rest)
  end
  return nil
end

return override
