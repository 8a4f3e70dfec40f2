-- box.iproto: the binary protocol for applications.
--
--   key, type, flag, ballot_key, metadata_key, raft_key, feature    names of the protocol's numbers
--   protocol_version, protocol_features                             what this server offers
--   encode_greeting, decode_greeting, encode_packet, decode_packet  bytes and what they mean
--   override(type, callback)                                        requests answered by Lua
--   export(name, func)                                              functions for CALL, by name
--
-- override and export hold for the worker that runs them; in the application file they hold in all.

local bridge = require('beespace.bridge')
local call = require('beespace.engine.call')
local errors = require('beespace.box.error')
local iproto_const = require('beespace.box.iproto_const')
local greeting = require('beespace.box.iproto_greeting')
local override = require('beespace.engine.override')
local packets = require('beespace.box.iproto_packet')
local state = require('beespace.engine.state')

local error, type = error, type
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

return iproto
