-- box.schema.role: roles made and dropped, and the rights that they give.
--
--   create(name[, {if_not_exists =}])     drop(name[, {if_exists =}])
--   exists(name)                          info(name)
--   grant(name, rights, object type[, object name[, {if_not_exists =, grantor =}]])
--   grant(name, role[, nil, nil, options])                    revoke(the same[, {if_exists =}])
--
-- A name may be a number too. box/schema_rights says what callers need.

local catalog = require('beespace.engine.catalog')
local grants = require('beespace.box.schema_grants')
local options = require('beespace.box.schema_options')
local principals = require('beespace.box.schema_principals')
local state = require('beespace.engine.state')

local cur = state.cur
local KIND = 'role'
local CREATE_OPTIONS = {if_not_exists = 'boolean'}

local role = {}

function role.create(name, given)
  local chosen = options.check(given, CREATE_OPTIONS)
  if principals.may_create(KIND, name, chosen.if_not_exists) then
    catalog.change('create_principal', cur.euid, KIND, name, nil, chosen.if_not_exists)
  end
end

function role.drop(named, given)
  principals.drop(KIND, named, given)
end

function role.exists(named)
  return principals.exists(KIND, named)
end

function role.info(named)
  return principals.info(KIND, named)
end

function role.grant(...)
  grants.grant(KIND, ...)
end

function role.revoke(...)
  grants.revoke(KIND, ...)
end

return role
