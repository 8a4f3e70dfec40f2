-- AUTH: the session proves whose it is.
--
-- Called by engine/handlers. With chap-sha1 the client shows that it knows a password:
--   step1 = SHA1(password), step2 = SHA1(step1), proof = step1 XOR SHA1(salt .. step2)
-- The catalog has step2, and the proof is right when SHA1(proof XOR SHA1(salt .. step2)) is step2.
--
-- What a login has to pass, in this order: form of the request, failures before (257), proof (47),
-- the right to have sessions (42), on_auth. Until then, and after any failure, the session keeps
-- the user that it has. Names that do not exist, roles and users without a password take the same
-- way as users with a wrong proof, with a hash that nobody knows, and have the same answer.

local bit = require('bit')
local ffi = require('ffi')
local access = require('beespace.engine.access')
local bridge = require('beespace.bridge')
local catalog = require('beespace.engine.catalog')
local complaints = require('beespace.engine.complaints')
local const = require('beespace.engine.const')
local errors = require('beespace.box.error')
local failures = require('beespace.engine.failures')
local lifetimes = require('beespace.engine.lifetimes')
local logins = require('beespace.engine.logins')
local packet = require('beespace.engine.packet')
local sessions = require('beespace.engine.sessions')
local shared = require('beespace.engine.table')
local state = require('beespace.engine.state')
local sys = require('beespace.engine.sys')
local tallies = require('beespace.engine.tallies')
local triggers = require('beespace.engine.triggers')
local varbinary = require('varbinary')

local bor, bxor = bit.bor, bit.bxor
local error, pcall, tostring, type = error, pcall, tostring, type
local keys = const.key
local cur = state.cur
local SALT_BYTES = 20
-- Of a proof, and of every SHA-1.
local BYTES = 20
local GUEST_NAME = 'guest'
local EVENT = 'box.session.on_auth'

local auth = {}

local unknown = ffi.new('uint8_t[?]', BYTES)
sys.C.getrandom(unknown, BYTES, 0)
-- Stands in for the hash of who has none.
local NOBODYS = ffi.string(unknown, BYTES)

local function bad(what)
  error(errors.client('INVALID_MSGPACK', what))
end

local function sha1(bytes)
  return (bridge.digest('sha1', bytes))
end

local function xor(one, other)
  local bytes = ffi.new('uint8_t[?]', BYTES)
  for index = 1, BYTES do
    bytes[index - 1] = bxor(one:byte(index), other:byte(index))
  end
  return ffi.string(bytes, BYTES)
end

-- Whether two hashes are the same, in the same time whichever bytes differ.
local function is_same(one, other)
  local difference = 0
  for index = 1, BYTES do
    difference = bor(difference, bxor(one:byte(index), other:byte(index)))
  end
  return difference == 0
end

-- Whether a proof is that of the password whose step2 is `hash`.
local function proves(proof, hash)
  local salt = ffi.string(shared.slots[cur.id % shared.capacity].salt, SALT_BYTES)
  return is_same(sha1(xor(proof, sha1(salt .. hash))), hash)
end

-- The proof out of the request's tuple [method, proof].
local function proof_of(tuple)
  if #tuple < 2 then
    bad('authentication request body')
  end
  local method, proof = tuple[1], tuple[2]
  if type(method) ~= 'string' then
    bad('authentication request body')
  elseif method ~= const.AUTH_METHOD then
    error(errors.client('UNKNOWN_AUTH_METHOD', method))
  end
  if varbinary.is(proof) then
    proof = tostring(proof)
  end
  if type(proof) ~= 'string' then
    error(errors.client('INVALID_AUTH_REQUEST', method, 'scramble must be string'))
  elseif #proof ~= BYTES then
    error(errors.client('INVALID_AUTH_REQUEST', method, 'invalid scramble size'))
  end
  return proof
end

-- The address in the text of a peer: without port, and without what names the socket.
local function address_of(peer)
  local address = peer:match('^unix/:') or peer:match('^%[(.*)%]:%d+$')
    or peer:match('^(.*):%d+$') or peer
  return address:match('^::ffff:(%d+%.%d+%.%d+%.%d+)$') or address
end

-- The user of a name, nil when there is none.
local function user_of(name)
  local found = catalog.by_name[name]
  return found ~= nil and found.kind == 'user' and found or nil
end

local function mismatch()
  error(errors.client('CREDS_MISMATCH'))
end

-- Run the functions of on_auth; none of them stands in the way of the control socket.
local function tell(name, succeeded)
  if not shared.of_control(shared.slots[cur.id % shared.capacity]) then
    triggers.run(EVENT, name, succeeded)
  end
end

-- Raise unless the proof is right and the failures before allow a login.
local function check_proof(name, user, proof)
  local peer = shared.peer(cur.id) or ''
  local right = proves(proof, user ~= nil and user.hash or NOBODYS)
  right = right and user ~= nil and user.hash ~= nil
  local verdict, in_a_row, in_all = failures.attempt(name, user ~= nil, address_of(peer), right,
    name == GUEST_NAME)
  local row = shared.row
  if verdict == failures.REFUSED then
    row.refused_logins = row.refused_logins + 1
    complaints.login(name, peer, 'refused, there were too many failures')
    error(errors.client('AUTH_DELAY'))
  elseif verdict == failures.WRONG then
    row.wrong_logins = row.wrong_logins + 1
    complaints.login(name, peer, ('failed, %d in a row, %d in all'):format(in_a_row, in_all))
    tell(name, false)
    mismatch()
  end
end

-- Raise when the user has too many sessions already. Others may come while on_auth waits: what
-- counts is decided by logins.become.
local function check_room(name, uid)
  local slot = shared.slots[cur.id % shared.capacity]
  local ok, refusal = pcall(tallies.check, slot, uid)
  if not ok then
    complaints.login(name, shared.peer(cur.id) or '', 'refused, session.limits.per_user is reached')
    error(refusal)
  end
end

-- Execute the request body p[at..e): the session has another user when it returns. Raises else.
-- The functions of on_auth may wait; then the loop has gone on.
function auth.login(p, at, e)
  local fields = packet.fields(p, at, e, false)
  local name, tuple = fields[keys.USER_NAME], fields[keys.TUPLE]
  if name == nil then
    packet.missing('USER_NAME')
  elseif tuple == nil then
    packet.missing('TUPLE')
  end
  catalog.refresh()
  local user = user_of(name)
  if name ~= GUEST_NAME or #tuple > 0 then
    check_proof(name, user, proof_of(tuple))
  end
  access.check_session(user.id)
  check_room(name, user.id)
  tell(name, true)
  catalog.refresh()
  -- While a function waited the user may have been dropped, or got another password.
  local now = user_of(name)
  if now == nil or now.id ~= user.id or now.serial ~= user.serial then
    mismatch()
  end
  access.check_session(user.id)
  logins.become(user.id)
  if sessions.has_client() then
    lifetimes.renew(cur.fd, user.id)
  end
end

return auth
