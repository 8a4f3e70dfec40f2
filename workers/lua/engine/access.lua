-- Who may do what: rights of users on objects, by their own grants and those of their roles.
--
-- The request path asks check_call and check_eval unless the user may do everything (cur.rights);
-- box/schema*, engine/views and engine/auth ask for what they need. What is found is kept until the
-- catalog is read anew. A refusal runs the functions of on_access_denied, then raises error 42.
--
--   rights: {universe = mask, roles = {[id] = true}, calls = {[name] = may},
--            [object type] = {[object id, '' for all of the type] = mask}}

local bit = require('bit')
local catalog = require('beespace.engine.catalog')
local errors = require('beespace.box.error')
local log = require('log')
local state = require('beespace.engine.state')
local user = require('beespace.engine.user')

local band, bnot, bor = bit.band, bit.bnot, bit.bor
local error, ipairs, pairs, pcall = error, ipairs, pairs, pcall
local cur = state.cur
local ADMIN, GUEST = state.ADMIN, state.GUEST
local SUPER = 31
local ALL = ''
local MAX_CALLS = 10000

local access = {
  READ = 1, WRITE = 2, EXECUTE = 4, SESSION = 8, USAGE = 16, CREATE = 32, DROP = 64, ALTER = 128,
  -- Names of rights, the lowest bit first.
  NAMES = {
    'Read', 'Write', 'Execute', 'Session', 'Usage', 'Create', 'Drop', 'Alter', 'Reference',
    'Trigger', 'Insert', 'Update', 'Delete', 'Grant', 'Metagrant',
  },
  -- Called with the right, the object's type and name before a refusal; engine/triggers are told.
  on_denied = function(_, _, _) end,
  -- True while a session must log in before anything else (security.disable_guest).
  guest_disabled = false,
}

local EXECUTE, SESSION, USAGE = access.EXECUTE, access.SESSION, access.USAGE

-- Globals that exist before any application code.
local built_in = {}
-- Rights by user.
local known = {}

catalog.on_refresh(function()
  known = {}
  cur.rights = user.rights_of(cur.euid)
end)

-- Remember which globals are the server's own; called once they are all defined.
function access.note_globals(globals)
  for name in pairs(globals) do
    built_in[name] = true
  end
end

local function collect(rights, id)
  for _, grant in ipairs(catalog.granted_to[id] or {}) do
    local kind, object = grant.object_type, grant.object_id
    if kind == 'universe' then
      rights.universe = bor(rights.universe, grant.mask)
    else
      local objects = rights[kind] or {}
      objects[object] = bor(objects[object] or 0, grant.mask)
      rights[kind] = objects
    end
    local has_role = kind == 'role' and object ~= ALL and band(grant.mask, EXECUTE) ~= 0
    if has_role and not rights.roles[object] then
      rights.roles[object] = true
      collect(rights, object)
    end
  end
end

-- The rights of a user, see the head of this file. A dropped user has none: error 45.
function access.of(uid)
  local rights = known[uid]
  if rights == nil then
    if catalog.principals[uid] == nil then
      error(errors.client('NO_SUCH_USER', uid))
    end
    rights = {universe = 0, roles = {}, calls = {}, call_count = 0}
    collect(rights, uid)
    known[uid] = rights
  end
  return rights
end

local function mask_on(rights, object_type, object_id)
  local mask = rights.universe
  local objects = object_type ~= 'universe' and rights[object_type]
  if objects then
    mask = bor(mask, objects[ALL] or 0, object_id ~= nil and objects[object_id] or 0)
  end
  return mask
end

-- Whether a user has all rights of `mask` on an object, by itself, by all objects of its type, or
-- by universe; false for a user that does not exist.
function access.has(uid, mask, object_type, object_id)
  if catalog.principals[uid] == nil then
    return false
  end
  return band(bnot(mask_on(access.of(uid), object_type, object_id)), mask) == 0
end

-- Whether a user has any right of `mask` on an object, in one of these three ways.
function access.has_any(uid, mask, object_type, object_id)
  return catalog.principals[uid] ~= nil
    and band(mask_on(access.of(uid), object_type, object_id), mask) ~= 0
end

-- Whether a user has any right of `mask` on the object by itself.
function access.has_on(uid, mask, object_type, object_id)
  local objects = catalog.principals[uid] ~= nil and access.of(uid)[object_type]
  return objects and band(objects[object_id] or 0, mask) ~= 0 or false
end

-- Whether a user has a role, itself or through another one.
function access.has_role(uid, role)
  return catalog.principals[uid] ~= nil and access.of(uid).roles[role] == true
end

-- Whether a user may do everything for being admin, or by role super.
function access.is_super(uid)
  return uid == ADMIN or access.has_role(uid, SUPER)
end

-- Name of a user or role, its number as text when there is none.
function access.name(uid)
  local found = catalog.principals[uid]
  return found ~= nil and found.name or ('%d'):format(uid)
end

-- Refuse: tell those who listen, then raise. The effective user is meant unless another is given.
function access.denied(right, object_type, object_name, uid)
  local name = access.name(uid or cur.euid)
  local ok, raised = pcall(access.on_denied, right, object_type, object_name)
  if not ok then
    log.error('a function of on_access_denied failed: %s', errors.describe(raised))
  end
  error(errors.client('ACCESS_DENIED', right, object_type, object_name, name))
end

local function lowest(mask)
  local index = 1
  while band(mask, 1) == 0 do
    mask = bit.rshift(mask, 1)
    index = index + 1
  end
  return access.NAMES[index]
end

-- Refuse unless the user (the effective one unless given) has usage on universe and all rights of
-- `mask` on the object; the error names the lowest right that is missing.
function access.check(mask, object_type, object_id, object_name, uid)
  uid = uid or cur.euid
  local rights = access.of(uid)
  if band(rights.universe, USAGE) == 0 then
    access.denied('Usage', 'universe', '', uid)
  end
  local missing = band(bnot(mask_on(rights, object_type, object_id)), mask)
  if missing ~= 0 then
    access.denied(lowest(missing), object_type, object_name, uid)
  end
end

-- Refuse unless the user may have sessions.
function access.check_session(uid)
  if band(access.of(uid).universe, SESSION) == 0 then
    access.denied('Session', 'universe', '', uid)
  end
end

local function must_log_in()
  return access.guest_disabled and cur.uid == GUEST and cur.id ~= 0
end

-- 1 when a user may call and evaluate everything, else 0.
function access.everything(uid)
  if catalog.principals[uid] == nil or access.guest_disabled and uid == GUEST then
    return 0
  end
  return band(access.of(uid).universe, EXECUTE + USAGE) == EXECUTE + USAGE and 1 or 0
end
user.rights_of = access.everything

local function may_call(uid, rights, name)
  local mask = rights.universe
  local calls = rights.lua_call or {}
  local created = catalog.function_by_name[name]
  if created ~= nil then
    mask = mask_on(rights, 'function', created.id)
    if created.owner == uid then
      return true
    end
    if created.language == 'LUA' and created.body == '' then
      mask = bor(mask, calls[ALL] or 0, calls[name] or 0)
    end
  else
    mask = bor(mask, calls[name] or 0)
    if not built_in[name:match('^[^ .:%[]*')] then
      mask = bor(mask, calls[ALL] or 0)
    end
  end
  return band(mask, EXECUTE) ~= 0
end

-- Refuse unless the effective user may call the function of this name, whether there is one or not.
function access.check_call(name)
  catalog.refresh()
  if must_log_in() then
    error(errors.client('AUTH_REQUIRED'))
  end
  local uid = cur.euid
  local rights = access.of(uid)
  local may = rights.calls[name]
  if may == nil then
    may = band(rights.universe, USAGE) ~= 0 and may_call(uid, rights, name)
    if rights.call_count >= MAX_CALLS then
      rights.calls, rights.call_count = {}, 0
    end
    rights.calls[name], rights.call_count = may, rights.call_count + 1
  end
  if not may then
    access.denied('Execute', 'function', name)
  end
end

-- Refuse unless the effective user may evaluate texts.
function access.check_eval()
  catalog.refresh()
  if must_log_in() then
    error(errors.client('AUTH_REQUIRED'))
  end
  local rights = access.of(cur.euid)
  local mask = mask_on(rights, 'lua_eval')
  if band(rights.universe, USAGE) == 0 or band(mask, EXECUTE) == 0 then
    access.denied('Execute', 'universe', '')
  end
end

return access
