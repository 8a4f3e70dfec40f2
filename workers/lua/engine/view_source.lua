-- What the views are made of: the catalog, and what a user may do with its objects.
--
-- Called by engine/view_rows and engine/views. The catalog has principals (users and roles), their
-- privileges, and functions; rights of a user are its own grants and those of its roles.

local bit = require('bit')

local band, bor = bit.band, bit.bor
local ipairs = ipairs

local source = {
  READ = 1, WRITE = 2, EXECUTE = 4, USAGE = 16, DROP = 64, ALTER = 128,
}

-- The object id of a grant on all objects of a type.
local ALL = ''
local SUPER_MASK = 4294967295

local function principal(id, name, kind)
  return {id = id, owner = 1, name = name, kind = kind, modified = 0}
end

local function privilege(grantee, kind, object, mask)
  return {grantor = 1, grantee = grantee, object_type = kind, object_id = object, mask = mask}
end

local function built_in()
  local catalog = {
    principals = {
      [0] = principal(0, 'guest', 'user'), principal(1, 'admin', 'user'),
      principal(2, 'public', 'role'), principal(3, 'replication', 'role'),
      [31] = principal(31, 'super', 'role'),
    },
    functions = {},
    privileges = {
      privilege(0, 'role', 2, 4), privilege(0, 'universe', 0, 24),
      privilege(1, 'universe', 0, SUPER_MASK), privilege(2, 'space', 276, 2),
      privilege(2, 'space', 330, 2), privilege(2, 'space', 380, 3), privilege(3, 'space', 320, 2),
      privilege(3, 'universe', 0, 1), privilege(31, 'universe', 0, SUPER_MASK),
    },
  }
  for _, space in ipairs({277, 281, 286, 289, 297, 305, 313, 341}) do
    table.insert(catalog.privileges, privilege(2, 'space', space, 1))
  end
  return catalog
end

-- The catalog: tables `principals` and `functions` by id, and the list `privileges`.
source.catalog = built_in()

-- Rights by user: {universe = mask, [object type] = {[object id, or ALL] = mask},
-- roles = {[id] = true}}.
local known, known_for = {}, nil

local function add(rights, grant)
  local kind, object = grant.object_type, grant.object_id
  if kind == 'universe' then
    rights.universe = bor(rights.universe, grant.mask)
    return
  end
  if rights[kind] == nil then
    rights[kind] = {}
  end
  rights[kind][object] = bor(rights[kind][object] or 0, grant.mask)
end

-- Add the grants of a user or role, and of the roles it has.
local function collect(rights, id, grants)
  for _, grant in ipairs(grants[id] or {}) do
    add(rights, grant)
    local role = grant.object_id
    if grant.object_type == 'role' and role ~= ALL and not rights.roles[role] then
      rights.roles[role] = true
      collect(rights, role, grants)
    end
  end
end

local function grants_by_grantee()
  local grants = {}
  for _, grant in ipairs(source.catalog.privileges) do
    local list = grants[grant.grantee] or {}
    list[#list + 1] = grant
    grants[grant.grantee] = list
  end
  return grants
end

local function rights_of(uid)
  if known_for ~= source.catalog then
    known, known_for = {}, source.catalog
  end
  local rights = known[uid]
  if rights == nil then
    rights = {universe = 0, roles = {}}
    collect(rights, uid, grants_by_grantee())
    known[uid] = rights
  end
  return rights
end

-- Whether a user has one of the rights of a mask on everything, on all objects of a type when one
-- is named, or on one object.
function source.has(uid, mask, kind, object)
  local rights = rights_of(uid)
  local found = rights.universe
  local objects = rights[kind]
  if objects ~= nil then
    found = bor(found, objects[ALL] or 0, object ~= nil and objects[object] or 0)
  end
  return band(found, mask) ~= 0
end

-- The same without what it has on everything and on all objects of the type.
function source.has_on(uid, mask, kind, object)
  local objects = rights_of(uid)[kind]
  return objects ~= nil and band(objects[object] or 0, mask) ~= 0
end

-- The name of a user or role, as error texts have it.
function source.name(uid)
  local found = source.catalog.principals[uid]
  return found ~= nil and found.name or tostring(uid)
end

-- Whether a user has a role, itself or through another role.
function source.has_role(uid, role)
  return rights_of(uid).roles[role] == true
end

return source
