-- What users and roles have in common: made, dropped, looked up and told of.
--
-- Called by box/schema_user and box/schema_role with their kind, 'user' or 'role'.

local catalog = require('beespace.engine.catalog')
local errors = require('beespace.box.error')
local grants = require('beespace.box.schema_grants')
local options = require('beespace.box.schema_options')
local rights = require('beespace.box.schema_rights')
local state = require('beespace.engine.state')

local error, tostring = error, tostring
local cur = state.cur
local EXISTS = {user = 'USER_EXISTS', role = 'ROLE_EXISTS'}
local BUILT_IN = {[0] = true, [1] = true, [2] = true, [3] = true, [31] = true}
local DROP_OPTIONS = {if_exists = 'boolean'}

local principals = {}

-- Whether to go on and make one of this name: false when it is there and that is all right. Users
-- and roles share their names.
function principals.may_create(kind, name, if_not_exists)
  rights.begin()
  options.text(name, 'name')
  if rights.principal(name) == nil then
    rights.check_create(kind, name)
    return true
  elseif not if_not_exists then
    error(errors.client(EXISTS[kind], name))
  end
  return false
end

local function refuse_drop(named, reason)
  error(errors.client('DROP_USER', tostring(named), reason))
end

function principals.drop(kind, named, given)
  local chosen = options.check(given, DROP_OPTIONS)
  rights.begin()
  local found = rights.find(kind, named)
  if found == nil then
    if not chosen.if_exists then
      rights.need(kind, named)
    end
    return
  elseif BUILT_IN[found.id] then
    refuse_drop(named, 'the user or the role is a system')
  elseif found.id == cur.uid or found.id == cur.euid then
    refuse_drop(named, 'the user is active in the current session')
  elseif kind == 'role' then
    grants.check_taken(found)
  end
  rights.check_drop(found)
  catalog.change('drop_principal', kind, found.id, chosen.if_exists, {cur.uid, cur.euid})
end

function principals.exists(kind, named)
  rights.begin()
  return rights.find(kind, named) ~= nil
end

-- What one has been granted, see box/schema_grants.
function principals.info(kind, named)
  rights.begin()
  return grants.info(rights.need(kind, named))
end

return principals
