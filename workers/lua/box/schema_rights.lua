-- What the effective user may see and change of users, roles, functions and their privileges.
--
-- Called by box/schema_* before they change the catalog. Changing needs what Tarantool asks for:
-- rights on the system space that has the rows, then the right itself.
--
--   create   read and write on _user; create on universe, or on all users (roles)
--   drop     write on _user; drop on the user (role), or to be its owner
--   alter    write on _user; alter on the user
--   grant    write on _priv; to own the object, and who grants something else is refused
--   revoke   write on _priv; to have granted it, and to own the object
--
-- Everybody may grant the role public. admin and those who have the role super may do everything.
-- What one does not see does not exist; engine/visibility has the rule.

local bit = require('bit')
local access = require('beespace.engine.access')
local catalog = require('beespace.engine.catalog')
local errors = require('beespace.box.error')
local state = require('beespace.engine.state')
local visibility = require('beespace.engine.visibility')

local band, bnot = bit.band, bit.bnot
local error, ipairs, tonumber, tostring, type = error, ipairs, tonumber, tostring, type
local cur = state.cur
local ADMIN, PUBLIC = state.ADMIN, 2
local FUNC, USER, PRIV = 296, 304, 312
local MISSING = {user = 'NO_SUCH_USER', role = 'NO_SUCH_ROLE'}

local rights = {}

-- Every function begins with it: what is known is the newest, and using anything is allowed.
function rights.begin()
  catalog.refresh()
  access.check(0, nil, nil, '')
end

-- What a name or a number stands for in tables by name and by number.
local function lookup(by_name, by_id, named)
  if named == nil then
    return nil
  elseif type(named) == 'string' then
    return by_name[named]
  end
  local id = type(named) ~= 'table' and tonumber(named) or -1
  if id < 0 or id % 1 ~= 0 then
    error(errors.client('KEY_PART_TYPE', 0, 'unsigned'))
  end
  return by_id[id]
end

local function sees_principal(found)
  local uid = cur.euid
  return visibility.principal(uid, found.id, found.owner) or visibility.everything(uid, USER)
end

-- The user or role of this name or number that can be seen, nil when there is none.
function rights.principal(named)
  local found = lookup(catalog.by_name, catalog.principals, named)
  return found ~= nil and sees_principal(found) and found or nil
end

-- The same of one kind, 'user' or 'role'; nil when there is none.
function rights.find(kind, named)
  local found = rights.principal(named)
  return found ~= nil and found.kind == kind and found or nil
end

-- The same; raises when there is none.
function rights.need(kind, named)
  local found = rights.find(kind, named)
  if found == nil then
    error(errors.client(MISSING[kind], tostring(named)))
  end
  return found
end

-- The created function of this name or number that can be seen, nil when there is none.
function rights.func(named)
  local found = lookup(catalog.function_by_name, catalog.functions, named)
  if found == nil then
    return nil
  end
  local uid = cur.euid
  local seen = visibility.func(uid, found.id, found.owner) or visibility.everything(uid, FUNC)
  return seen and found or nil
end

-- The rows of privileges of a user or role that can be seen.
function rights.granted_to(id)
  local uid = cur.euid
  local seen, everything = {}, visibility.everything(uid, PRIV)
  for _, row in ipairs(catalog.granted_to[id] or {}) do
    if everything or visibility.grant(uid, row.grantor, row.grantee) then
      seen[#seen + 1] = row
    end
  end
  return seen
end

function rights.check_create(kind, name)
  access.check(access.READ, 'space', USER, '_user')
  access.check(access.WRITE, 'space', USER, '_user')
  access.check(access.CREATE, kind, nil, name)
end

function rights.check_drop(principal)
  access.check(access.WRITE, 'space', USER, '_user')
  if principal.owner ~= cur.euid then
    access.check(access.DROP, principal.kind, principal.id, principal.name)
  end
end

-- Before anything is known of the user.
function rights.check_write()
  access.check(access.WRITE, 'space', USER, '_user')
end

function rights.check_alter(principal)
  access.check(access.ALTER, principal.kind, principal.id, principal.name)
end

local function may_give(uid, object)
  return object.owner == uid or access.is_super(uid)
    or object.type == 'role' and object.id == PUBLIC
end

-- Refuse to grant rights on an object of box/schema_objects in the name of `grantor`.
function rights.check_grant(object, grantor)
  access.check(access.WRITE, 'space', PRIV, '_priv')
  local uid = cur.euid
  if grantor ~= uid and not access.is_super(uid) then
    access.denied('Grant', object.type, object.own_name)
  elseif not may_give(grantor, object) then
    access.denied('Grant', object.type, object.own_name, grantor)
  end
end

-- Refuse to take the rights of `mask` out of a row of privileges. What is left of the row is
-- granted anew, by who revokes.
function rights.check_revoke(object, row, mask)
  access.check(access.WRITE, 'space', PRIV, '_priv')
  if access.is_super(cur.euid) then
    return
  elseif band(row.mask, bnot(mask)) ~= 0 then
    rights.check_grant(object, cur.euid)
  elseif row.grantor ~= cur.euid or not may_give(cur.euid, object) then
    access.denied('Revoke', object.type, object.own_name)
  end
end

-- Owner of what nobody has made.
rights.NOBODYS = ADMIN

return rights
