-- Users, roles, their privileges, and created functions, as this worker knows them.
--
--   the file (shm/catalog) --bridge.catalog_snapshot--> tables below      refresh(), when the
--                                                                         generation has moved
--   box.schema --> change() --bridge.catalog_change--> the file, the generation moves
--                    +--> refresh() here, and a nudge over the bus: the others refresh at once
--
-- The request path compares the generation in the segment with st.catalog before it lets code run,
-- so a change is obeyed from the next request on, whether the nudge has come or not. The tables are
-- replaced when the catalog is read, never changed.

local bridge = require('beespace.bridge')
local bus = require('beespace.engine.bus')
local codec = require('beespace.engine.codec')
local decode = require('beespace.engine.decode')
local errors = require('beespace.box.error')
local shared = require('beespace.engine.table')
local state = require('beespace.engine.state')

local error, ipairs, pairs, select = error, ipairs, pairs, select
local tostring, unpack = tostring, unpack
local NULL = decode.NULL
local NUDGE = bus.KIND.CATALOG_NUDGE
local st = state.st

local catalog = {
  -- Users and roles: {id =, owner =, name =, kind = 'user' or 'role', hash =, serial =,
  -- modified =}; `hash` is SHA1(SHA1(password)), 20 bytes, `serial` moves with every password.
  principals = {},
  by_name = {},
  -- Names of so many that were dropped are known at least: their sessions end within a second.
  FORMER = 1000,
  -- {grantor =, grantee =, object_type =, object_id =, mask =}, all and by grantee.
  privileges = {},
  granted_to = {},
  -- Functions by id and by name, with the fields of _vfunc.
  functions = {},
  function_by_name = {},
  -- Called after a change by the running code, with the operation and its arguments; engine/logins
  -- sets it.
  changed = function(_, _) end,
}

-- Called after every load.
local listeners = {}

-- Names of those that were dropped, by id: the newest, how many, and those before them.
local former, formers, older = {}, 0, {}

local function note_former(principal)
  if formers >= catalog.FORMER then
    former, formers, older = {}, 0, former
  end
  former[principal.id] = principal.name
  formers = formers + 1
end

-- The name of a user that was dropped not long ago.
function catalog.former(id)
  return former[id] or older[id]
end

local function read_principals(rows)
  local by_id, by_name = {}, {}
  local before = catalog.principals
  for _, row in ipairs(rows) do
    local id, owner, name, kind, hash, serial, modified = unpack(row, 1, 7)
    local principal = {
      id = id, owner = owner, name = name, kind = kind, serial = serial, modified = modified,
      hash = hash ~= nil and tostring(hash) or nil,
    }
    by_id[id], by_name[name] = principal, principal
  end
  catalog.principals, catalog.by_name = by_id, by_name
  for id, principal in pairs(before) do
    if by_id[id] == nil then
      note_former(principal)
    end
  end
end

local function read_privileges(rows)
  local all, by_grantee = {}, {}
  for index, row in ipairs(rows) do
    local privilege = {
      grantor = row[1], grantee = row[2], object_type = row[3], object_id = row[4], mask = row[5],
    }
    all[index] = privilege
    local list = by_grantee[privilege.grantee] or {}
    list[#list + 1] = privilege
    by_grantee[privilege.grantee] = list
  end
  catalog.privileges, catalog.granted_to = all, by_grantee
end

local function read_functions(rows)
  local by_id, by_name = {}, {}
  for _, fields in ipairs(rows) do
    by_id[fields.id], by_name[fields.name] = fields, fields
  end
  catalog.functions, catalog.function_by_name = by_id, by_name
end

-- Take this content, as shm/catalog/snapshot.py gives it, from now on.
function catalog.use(content)
  read_principals(content.principals)
  read_privileges(content.privileges)
  read_functions(content.functions)
  for _, listener in ipairs(listeners) do
    listener()
  end
end

local function load()
  local packed, reason = bridge.catalog_snapshot()
  if packed == nil then
    error(errors.client('SYSTEM', reason))
  end
  catalog.use(codec.unpack(packed))
end

-- Read the catalog when it has changed; raises when it cannot be read. Whether it was read.
function catalog.refresh()
  -- Before the content: a change that comes meanwhile moves it again.
  local generation = st.generation[0]
  if generation == st.catalog then
    return false
  end
  load()
  st.catalog = generation
  return true
end

-- Call `listener()` after every load.
function catalog.on_refresh(listener)
  listeners[#listeners + 1] = listener
end

-- Read the catalog of the segment that engine/table is attached to.
function catalog.attach()
  st.generation = shared.catalog_generation()
  local generation = st.generation[0]
  load()
  st.catalog = generation
  bus.on(NUDGE, catalog.refresh)
end

local function list_of(...)
  local values = {...}
  for index = 1, select('#', ...) do
    if values[index] == nil then
      values[index] = NULL
    end
  end
  return values
end

-- Make one change, an operation of shm/catalog/changes.py, and obey it here; its result. Raises
-- what is wrong with it, and then nothing has changed.
function catalog.change(operation, ...)
  local packed, reason = bridge.catalog_change(operation, codec.pack(list_of(...)))
  if packed == nil then
    error(errors.client('SYSTEM', reason))
  end
  local answer = codec.unpack(packed)
  if not answer[1] then
    error(errors.client(answer[2], unpack(answer[3])))
  end
  if catalog.refresh() then
    bus.broadcast(NUDGE, '')
  end
  catalog.changed(operation, ...)
  local result = answer[2]
  if result == nil then
    return nil
  end
  return result
end

return catalog
