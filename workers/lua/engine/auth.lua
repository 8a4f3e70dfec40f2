-- AUTH with chap-sha1, as far as guest goes: every other user is refused with the neutral error.
--
-- Called by engine/handlers.lua. The scramble of guest proves the empty password:
--   step1 = SHA1(password), step2 = SHA1(step1), scramble = step1 XOR SHA1(salt .. step2)

local bit = require('bit')
local ffi = require('ffi')
local bridge = require('beespace.bridge')
local const = require('beespace.engine.const')
local errors = require('beespace.box.error')
local packet = require('beespace.engine.packet')
local sessions = require('beespace.engine.sessions')
local shared = require('beespace.engine.table')
local state = require('beespace.engine.state')
local varbinary = require('varbinary')

local keys = const.key
local SALT_BYTES = 20
local SCRAMBLE_BYTES = 20
local GUEST = 'guest'

local auth = {}

local function bad(what)
  error(errors.client('INVALID_MSGPACK', what))
end

-- The scramble a client must send that knows the empty password.
local function expected_scramble(salt)
  local step1 = bridge.digest('sha1', '')
  local mask = bridge.digest('sha1', salt .. bridge.digest('sha1', step1))
  local bytes = {}
  for index = 1, SCRAMBLE_BYTES do
    bytes[index] = string.char(bit.bxor(step1:byte(index), mask:byte(index)))
  end
  return table.concat(bytes)
end

local function current_salt()
  local session = sessions.all[state.cur.fd]
  return ffi.string(shared.slots[session.slot].salt, SALT_BYTES)
end

-- The scramble out of the request's tuple [method, scramble].
local function scramble_of(tuple)
  if #tuple < 2 then
    bad('authentication request body')
  end
  local method, scramble = tuple[1], tuple[2]
  if type(method) ~= 'string' then
    bad('authentication request body')
  elseif method ~= const.AUTH_METHOD then
    error(errors.client('UNKNOWN_AUTH_METHOD', method))
  end
  if varbinary.is(scramble) then
    scramble = tostring(scramble)
  end
  if type(scramble) ~= 'string' then
    error(errors.client('INVALID_AUTH_REQUEST', method, 'scramble must be string'))
  elseif #scramble ~= SCRAMBLE_BYTES then
    error(errors.client('INVALID_AUTH_REQUEST', method, 'invalid scramble size'))
  end
  return scramble
end

-- Check the request body p[at..e); returns when the session may go on as guest, raises otherwise.
function auth.login(p, at, e)
  local fields = packet.fields(p, at, e, false)
  local user, tuple = fields[keys.USER_NAME], fields[keys.TUPLE]
  if user == nil then
    packet.missing('USER_NAME')
  elseif tuple == nil then
    packet.missing('TUPLE')
  end
  if user == GUEST and #tuple == 0 then
    return
  end
  local scramble = scramble_of(tuple)
  if user ~= GUEST or scramble ~= expected_scramble(current_salt()) then
    error(errors.client('CREDS_MISMATCH'))
  end
end

return auth
