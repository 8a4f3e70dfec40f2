-- box.iproto.encode_greeting and decode_greeting: the greeting as a string, for applications.
--
-- The server's own greeting is written by engine/greeting. Both have two lines of 64 bytes: what
-- the server is, and its salt in base64.

local digest = require('digest')
local ffi = require('ffi')
local iproto_const = require('beespace.box.iproto_const')
local const = require('beespace.engine.const')
local sys = require('beespace.engine.sys')
local uuid = require('uuid')

local error, select, type = error, select, type
local LINE = const.GREETING_SIZE / 2
local SALT_SIZE = 32
local NO_UUID = '00000000-0000-0000-0000-000000000000'
local UUID_SIZE = #NO_UUID
-- The binary protocol; others, such as the console, send no instance and no salt.
local BINARY = 'Binary'

local greeting = {}

local function fail(text)
  error(text, 0)
end

-- A field of the options, which is a string when it is there.
local function field(options, name)
  local value = options[name]
  if value ~= nil and type(value) ~= 'string' then
    fail(name .. ' must be a string')
  end
  return value
end

-- Major, minor and patch version as text; what follows them is left out.
local function plain_version(text)
  local version = text:match('^%s*(%d+%.%d+%.%d+)')
  if version == nil then
    fail('cannot parse version string')
  end
  return version
end

local function instance(text)
  if text == nil then
    return uuid.str()
  end
  local value = uuid.fromstr(text)
  if value == nil then
    fail('cannot parse uuid string')
  end
  return value:str()
end

local function random_salt()
  local bytes = ffi.new('uint8_t[?]', SALT_SIZE)
  if sys.C.getrandom(bytes, SALT_SIZE, 0) ~= SALT_SIZE then
    fail('the system gave no random bytes')
  end
  return ffi.string(bytes, SALT_SIZE)
end

local function salt_of(text)
  if text == nil then
    return random_salt()
  elseif #text > iproto_const.GREETING_SALT_LEN_MAX then
    fail(('salt string length cannot be greater than %d')
      :format(iproto_const.GREETING_SALT_LEN_MAX))
  end
  return text
end

local function line(text)
  return text .. (' '):rep(LINE - 1 - #text) .. '\n'
end

-- The 128 bytes of a greeting: encode_greeting({version =, uuid =, salt =}), every field optional.
function greeting.encode(...)
  local count = select('#', ...)
  local options = ...
  if count == 0 then
    options = {}
  elseif count > 1 or type(options) ~= 'table' then
    fail('Usage: box.iproto.encode_greeting({version = x, uuid = x, salt = x})')
  end
  local version = plain_version(field(options, 'version') or const.GREETING_VERSION)
  local first = ('Tarantool %s (%s) %s'):format(version, BINARY, instance(field(options, 'uuid')))
  if #first >= LINE then
    fail('cannot parse version string')
  end
  local salt = salt_of(field(options, 'salt'))
  return line(first) .. line(digest.base64_encode(salt, {nowrap = true}))
end

-- Version, protocol and the rest of a greeting's first line; nil when it is none.
local function read_first(text)
  local version, protocol, rest = text:match('^Tarantool +(%d+%.%d+%.%d+)[^ ]* +(%b()) *(.-) *\n$')
  if version == nil or #protocol - 2 > iproto_const.GREETING_PROTOCOL_LEN_MAX then
    return nil
  end
  return version, protocol:sub(2, -2), rest
end

-- The fields of a greeting, nil when it is none.
local function read(text)
  local version, protocol, rest = read_first(text:sub(1, LINE))
  if version == nil or text:byte(-1) ~= 10 then
    return nil
  elseif protocol ~= BINARY then
    return {version = version, protocol = protocol, uuid = NO_UUID, salt = ''}
  end
  local id = uuid.fromstr(rest:sub(1, UUID_SIZE))
  local coded = text:sub(LINE + 1):match('^([%w+/]*=*) *\n$')
  if id == nil or coded == nil then
    return nil
  end
  return {version = version, protocol = protocol, uuid = id:str(),
    salt = digest.base64_decode(coded)}
end

-- The fields of a greeting: version, protocol, uuid, salt.
function greeting.decode(...)
  local text = ...
  if select('#', ...) ~= 1 or type(text) ~= 'string' then
    fail('Usage: box.iproto.decode_greeting(string)')
  elseif #text ~= const.GREETING_SIZE then
    fail(('greeting length must equal %d'):format(const.GREETING_SIZE))
  end
  local fields = read(text)
  if fields == nil then
    fail('cannot parse greeting string')
  end
  return fields
end

return greeting
