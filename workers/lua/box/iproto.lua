-- box.iproto: the binary protocol for applications.
--
--   key, type, flag, ballot_key, metadata_key, raft_key, feature    names of the protocol's numbers
--   protocol_version, protocol_features                             what this server offers
--   encode_greeting, decode_greeting, encode_packet, decode_packet  bytes and what they mean
--   override(type, callback)                                        requests answered by Lua
--   export(name, func)                                              functions for CALL, by name
--   send(sid, header[, body])                                       a packet for any session
--
-- override and export hold for the worker that runs them; in the application file they hold in all.

local bridge = require('beespace.bridge')
local call = require('beespace.engine.call')
local errors = require('beespace.box.error')
local iproto_const = require('beespace.box.iproto_const')
local fibers = require('beespace.engine.fibers')
local greeting = require('beespace.box.iproto_greeting')
local letters = require('beespace.engine.letters')
local override = require('beespace.engine.override')
local packets = require('beespace.box.iproto_packet')
local state = require('beespace.engine.state')
local undelivered = require('beespace.box.undelivered')

local error, select, tonumber, type = error, select, tonumber, type
local types = iproto_const.type
-- Types are 32 bits wide, and -1.
local MAX_TYPE = 4294967295

local iproto = {
  encode_greeting = greeting.encode,
  decode_greeting = greeting.decode,
  encode_packet = packets.encode,
  decode_packet = packets.decode,
}

for name, value in pairs(iproto_const) do
  if type(value) ~= 'function' then
    iproto[name] = value
  end
end

-- Types by their names in lower case, and the names of those that cannot be overridden.
local by_name, refused = {}, {}
for name, code in pairs(types) do
  by_name[name:lower()] = code
end
by_name.type_error = nil
for _, name in ipairs({'JOIN', 'SUBSCRIBE', 'FETCH_SNAPSHOT', 'REGISTER'}) do
  refused[types[name]] = name
end

local function critical(text, ...)
  bridge.log('crit', text:format(...), state.session_id())
end

-- The number of a request type and whether it was given by name; nil, said in the log, for a type
-- that cannot be overridden.
local function overridable(request_type)
  local is_name = type(request_type) == 'string'
  local code = request_type
  if is_name then
    code = by_name[request_type:lower()]
  elseif code >= -1 and code <= MAX_TYPE then
    code = code < 0 and math.ceil(code) or math.floor(code)
  else
    code = nil
  end
  if code == nil then
    critical("IPROTO request handler: '%s' is not a valid request type", request_type)
    return nil
  elseif refused[code] ~= nil then
    critical("IPROTO request handler overriding does not support `%s' request type",
      refused[code])
    return nil
  end
  return code, is_name
end

local function check_override(request_type, callback)
  local problem
  if request_type == nil then
    problem = 'Usage: box.iproto.override(request_type, callback)'
  elseif type(request_type) ~= 'number' and type(request_type) ~= 'string' then
    problem = ("bad argument #1 to 'override' (number or string expected, got %s)")
      :format(type(request_type))
  elseif callback ~= nil and type(callback) ~= 'function' then
    problem = ("bad argument #2 to 'override' (function expected, got %s)")
      :format(type(callback))
  end
  if problem ~= nil then
    error(errors.client('PROC_LUA', problem))
  end
end

-- Let a callback answer the requests of a type; nil takes it away. See engine/override.
function iproto.override(request_type, callback)
  check_override(request_type, callback)
  local code, is_name = overridable(request_type)
  if code ~= nil then
    override.set(code, is_name, callback ~= nil and callback or nil)
  end
end

-- Make a function callable by exactly this name; it comes before the globals.
function iproto.export(name, func)
  if type(name) ~= 'string' then
    error(errors.client('ILLEGAL_PARAMS', 'function name should be a string'))
  elseif type(func) ~= 'function' then
    error(errors.client('ILLEGAL_PARAMS', 'function object should be a function'))
  elseif not call.export(name, func) then
    error(errors.client('FUNCTION_EXISTS', name))
  end
end

local function is_part(value)
  return type(value) == 'string' or type(value) == 'table'
end

-- A session id, given as a whole number or a 64-bit one.
local function id_of(value)
  local number = (type(value) == 'number' or type(value) == 'cdata') and tonumber(value) or nil
  if number == nil or number < 0 or number % 1 ~= 0 then
    error(errors.client('PROC_LUA', 'expected uint64_t as 1 argument'))
  end
  return number
end

local function check_send(count, header, body)
  local problem
  if count < 2 or count > 3 then
    problem = 'Usage: box.iproto.send(sid, header[, body])'
  elseif not is_part(header) then
    problem = 'expected table or string as 2 argument'
  elseif body ~= nil and not is_part(body) then
    problem = 'expected table or string as 3 argument'
  end
  if problem ~= nil then
    error(errors.client('PROC_LUA', problem))
  end
end

-- Write a packet to any session of the machine; lets other fibers run once where that is possible.
function iproto.send(...)
  local sid, header, body = ...
  check_send(select('#', ...), header, body)
  local id = id_of(sid)
  if id == 0 then
    error(errors.client('WRONG_SESSION_TYPE', 'background'))
  end
  local sent, reason = letters.send(id, packets.join(header, body))
  if not sent then
    error(undelivered.error(reason, id))
  end
  if fibers.may_wait() then
    fibers.suspend(0)
  end
end

return iproto
