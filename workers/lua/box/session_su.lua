-- box.session.su: another user, for good or for one function.
--
--   su(user)             the session is that user's from now on
--   su(user, f, ...)     what f(...) returns, run with the rights of that user
--
-- `user` is the name of a user or a number. Only admin, and users with the role super, may become
-- others; the effective user counts, so a function that runs as somebody less cannot go back.
-- compat.session_su = 'old' asks nobody, and takes what is no user for guest, as Tarantool does.

local access = require('beespace.engine.access')
local catalog = require('beespace.engine.catalog')
local errors = require('beespace.box.error')
local ffi = require('ffi')
local flags = require('beespace.box.compat_flags')
local logins = require('beespace.engine.logins')
local session = require('beespace.box.session')
local state = require('beespace.engine.state')
local user = require('beespace.engine.user')

local error, select, tonumber, tostring, type = error, select, tonumber, tostring, type
local floor = math.floor
local cur = state.cur
local GUEST = state.GUEST

local function is_old()
  return flags.session_su == 0
end

-- What was given as a user: a name, or a number.
local function wanted(given)
  local kind = type(given)
  if kind == 'string' then
    return given
  elseif kind == 'number' then
    return floor(given)
  elseif ffi.istype('int64_t', given) or ffi.istype('uint64_t', given) then
    return tonumber(given)
  elseif is_old() then
    return GUEST
  end
  error(('session.su(): expected the name or number of a user, got %s'):format(
    given == nil and 'nil' or kind), 0)
end

-- The user's record in the catalog, nil when there is none.
local function find(name_or_id)
  if type(name_or_id) == 'number' then
    return catalog.principals[name_or_id]
  end
  local found = catalog.by_name[name_or_id]
  return found ~= nil and found.kind == 'user' and found or nil
end

-- Raise unless the running code may become the user. Who may not is not told which users exist.
local function check_rights(found, name_or_id)
  if is_old() or access.is_super(cur.euid) then
    return
  elseif found == nil or found.id ~= cur.euid then
    access.denied('Su', 'user', tostring(name_or_id))
  end
end

-- See the head of this file.
function session.su(...)
  local count = select('#', ...)
  if count == 0 then
    error('session.su(): bad arguments', 0)
  end
  local given, func = ...
  local name_or_id = wanted(given)
  catalog.refresh()
  local found = find(name_or_id)
  check_rights(found, name_or_id)
  if found == nil then
    error(errors.client('NO_SUCH_USER', tostring(name_or_id)))
  end
  access.check_session(found.id)
  if count == 1 then
    logins.become(found.id)
    return
  elseif type(func) ~= 'function' then
    error(("bad argument #2 to '?' (function expected, got %s)"):format(type(func)), 0)
  end
  return user.as(found.id, func, select(3, ...))
end

return session
