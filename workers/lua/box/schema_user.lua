-- box.schema.user: users made, changed and dropped, their passwords and their rights.
--
--   create(name[, {password =, if_not_exists =}])    drop(name[, {if_exists =}])
--   exists(name)                                     info([name])
--   passwd([name,] password)                         password(text)
--   grant(name, rights, object type[, object name[, {if_not_exists =, grantor =}]])
--   grant(name, role[, nil, nil, options])           revoke(the same[, {if_exists =}])
--   enable(name), disable(name)                      session and usage, granted and revoked
--
-- A name may be a number too. passwd without a name is for whoever the session has logged in as,
-- and needs no rights; box/schema_rights says what the others need.

local bridge = require('beespace.bridge')
local catalog = require('beespace.engine.catalog')
local digest = require('digest')
local errors = require('beespace.box.error')
local grants = require('beespace.box.schema_grants')
local options = require('beespace.box.schema_options')
local principals = require('beespace.box.schema_principals')
local rights = require('beespace.box.schema_rights')
local state = require('beespace.engine.state')
local varbinary = require('varbinary')

local error, select = error, select
local cur = state.cur
local GUEST = state.GUEST
local KIND = 'user'
local LOGIN = 'session,usage'
local CREATE_OPTIONS = {password = 'string', if_not_exists = 'boolean'}

local user = {}

local function hash(password)
  return digest.sha1(digest.sha1(options.text(password, 'password')))
end

-- What the catalog keeps of a password that is good enough.
local function stored(password)
  local hashed = hash(password)
  local complaint = bridge.password_complaint(password)
  if complaint ~= nil then
    error(errors.client('WEAK_PASSWORD', complaint))
  end
  return varbinary.new(hashed)
end

function user.create(name, given)
  local chosen = options.check(given, CREATE_OPTIONS)
  if principals.may_create(KIND, name, chosen.if_not_exists) then
    local hashed = chosen.password ~= nil and stored(chosen.password) or nil
    catalog.change('create_principal', cur.euid, KIND, name, hashed, chosen.if_not_exists)
  end
end

function user.drop(named, given)
  principals.drop(KIND, named, given)
end

function user.exists(named)
  return principals.exists(KIND, named)
end

function user.info(named)
  return principals.info(KIND, named == nil and cur.euid or named)
end

local function set_own(password)
  catalog.refresh()
  options.text(password, 'password')
  if cur.uid == GUEST then
    error(errors.client('GUEST_USER_PASSWORD'))
  end
  catalog.change('set_password', cur.uid, stored(password))
end

local function set_others(named, password)
  rights.begin()
  options.text(password, 'password')
  local found = rights.need(KIND, named)
  rights.check_write()
  if found.id == GUEST then
    -- It has the empty one already.
    if password ~= '' then
      error(errors.client('GUEST_USER_PASSWORD'))
    end
    return
  end
  rights.check_alter(found)
  catalog.change('set_password', found.id, stored(password))
end

function user.passwd(...)
  local count = select('#', ...)
  local first, second = ...
  if first == nil or count > 1 and second == nil then
    options.refuse('Usage: box.schema.user.passwd([user,] password)')
  elseif count == 1 then
    set_own(first)
  else
    set_others(first, second)
  end
end

function user.password(text)
  return digest.base64_encode(hash(text))
end

function user.grant(...)
  grants.grant(KIND, ...)
end

function user.revoke(...)
  grants.revoke(KIND, ...)
end

function user.enable(named)
  grants.grant(KIND, named, LOGIN, 'universe', nil, {if_not_exists = true})
end

function user.disable(named)
  grants.revoke(KIND, named, LOGIN, 'universe', nil, {if_exists = true})
end

return user
