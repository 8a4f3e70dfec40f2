-- Privileges of users and roles: given, taken and told.
--
-- Called by box/schema_user and box/schema_role with their kind, 'user' or 'role'. What is granted
-- on is looked up and checked here; the catalog makes the change, or refuses it for what another
-- session has changed meanwhile.

local bit = require('bit')
local access = require('beespace.engine.access')
local catalog = require('beespace.engine.catalog')
local errors = require('beespace.box.error')
local objects = require('beespace.box.schema_objects')
local options = require('beespace.box.schema_options')
local rights = require('beespace.box.schema_rights')
local state = require('beespace.engine.state')

local band, bnot, bor = bit.band, bit.bnot, bit.bor
local error, ipairs, tostring, type = error, ipairs, tostring, type
local cur = state.cur
local EXECUTE = access.EXECUTE
local OF_USERS = bor(access.SESSION, access.USAGE)
local GRANT_OPTIONS = {if_not_exists = 'boolean', grantor = 'string, number'}
local REVOKE_OPTIONS = {if_exists = 'boolean'}

local grants = {}

-- What to grant or revoke: {grantee =, named =, mask =, rights = text, object =, row = what the
-- grantee has on the object, nil for nothing}. A role alone is execute on it.
local function request(usage, kind, named, written, object_type, object_name)
  rights.begin()
  local grantee = rights.need(kind, named)
  if object_type == nil then
    if written == nil then
      options.refuse('Usage: box.schema.%s.%s(name, privileges, object type[, object name'
        .. '[, options]]) or (name, role)', kind, usage)
    end
    object_type, object_name, written = 'role', written, 'execute'
  end
  local mask = objects.mask(object_type, written)
  local object = objects.find(object_type, object_name)
  local asked = {
    grantee = grantee, named = named, mask = mask, rights = tostring(written), object = object,
  }
  for _, row in ipairs(rights.granted_to(grantee.id)) do
    if row.object_type == object.type and row.object_id == object.id then
      asked.row = row
    end
  end
  return asked
end

local function is_role(asked)
  return asked.object.type == 'role' and asked.object.id ~= '' and asked.mask == EXECUTE
end

local function raise_granted(asked)
  local object = asked.object
  if is_role(asked) then
    error(errors.client('ROLE_GRANTED', tostring(asked.named), object.name))
  end
  local on = object.type == 'universe' and 'universe'
    or ("%s '%s'"):format(object.type, object.name)
  error(errors.client('PRIV_GRANTED', tostring(asked.named), asked.rights, on))
end

local function raise_not_granted(asked)
  local object = asked.object
  if is_role(asked) and asked.row == nil then
    error(errors.client('ROLE_NOT_GRANTED', tostring(asked.named), object.name))
  end
  error(errors.client('PRIV_NOT_GRANTED', tostring(asked.named), asked.rights, object.type,
    object.name))
end

local function grantor_of(given)
  if given == nil then
    return cur.euid
  end
  return rights.need('user', given).id
end

-- Give rights on an object to a user or role; what it has already stays.
function grants.grant(kind, named, written, object_type, object_name, given)
  local chosen = options.check(given, GRANT_OPTIONS)
  local asked = request('grant', kind, named, written, object_type, object_name)
  local object = asked.object
  if kind == 'role' and band(asked.mask, OF_USERS) ~= 0 then
    error(errors.client('GRANT', 'system privilege can not be granted to role'))
  elseif asked.row ~= nil and band(asked.mask, bnot(asked.row.mask)) == 0 then
    if not chosen.if_not_exists then
      raise_granted(asked)
    end
    return
  end
  local grantor = grantor_of(chosen.grantor)
  rights.check_grant(object, grantor)
  catalog.change('grant', grantor, kind, asked.named, asked.mask, asked.rights, object.type,
    object.key, object.name, chosen.if_not_exists)
end

-- Take rights on an object from a user or role; those that it does not have are passed over.
function grants.revoke(kind, named, written, object_type, object_name, given)
  local chosen = options.check(given, REVOKE_OPTIONS)
  local asked = request('revoke', kind, named, written, object_type, object_name)
  local object = asked.object
  if asked.row == nil or band(asked.mask, asked.row.mask) == 0 then
    if not chosen.if_exists then
      raise_not_granted(asked)
    end
    return
  end
  rights.check_revoke(object, asked.row, asked.mask)
  catalog.change('revoke', kind, asked.named, asked.mask, asked.rights, object.type, object.key,
    object.name, chosen.if_exists)
end

-- By type, then numbers, then texts.
local function before(one, other)
  if one.object_type ~= other.object_type then
    return one.object_type < other.object_type
  end
  local first, second = one.object_id, other.object_id
  if type(first) ~= type(second) then
    return type(first) == 'number'
  end
  return first < second
end

-- What a user or role has been granted, as far as it can be seen: {rights, object type, name}.
function grants.info(principal)
  local rows = rights.granted_to(principal.id)
  table.sort(rows, before)
  for index, row in ipairs(rows) do
    rows[index] = {objects.rights(row.mask), row.object_type, objects.of(row).name}
  end
  return rows
end

-- Refuse to drop a role when the caller may not take it from all who have it.
function grants.check_taken(role)
  for _, row in ipairs(catalog.privileges) do
    if row.object_type == 'role' and row.object_id == role.id
       and band(row.mask, EXECUTE) ~= 0 then
      rights.check_revoke(objects.of(row), row, row.mask)
    end
  end
end

return grants
