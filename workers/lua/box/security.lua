-- box.security: who fails to log in, and from where.
--
--   failures([filter])   a list, the newest first, of {user =, known = or peer =, count =,
--                        consecutive =, refused =, last =, delayed =}; see engine/failures
--   reset([name])        forgets the failures of a user name or an address, or all of them, and
--                        answers their number
--
-- A filter is a user name or an address, or a table with fields that the rows must have:
-- {user = 'bob'}, {known = false}, {peer = '10.0.0.1'}. Only admin, and users with the role super,
-- may call these functions.

local access = require('beespace.engine.access')
local failures = require('beespace.engine.failures')
local state = require('beespace.engine.state')

local error, ipairs, pairs, tostring, type = error, ipairs, pairs, tostring, type
local cur = state.cur
-- Fields that a filter may name.
local FIELDS = {
  user = true, known = true, peer = true, count = true, consecutive = true, refused = true,
}

local security = {}

local function only_super(access_type)
  if not access.is_super(cur.euid) then
    access.denied(access_type, 'universe', '')
  end
end

local function check_filter(filter)
  local kind = type(filter)
  if filter ~= nil and kind ~= 'string' and kind ~= 'table' then
    error('Usage: box.security.failures([name or table])', 0)
  end
  for field in pairs(kind == 'table' and filter or {}) do
    if not FIELDS[field] then
      error(("box.security.failures(): unexpected field '%s'"):format(tostring(field)), 0)
    end
  end
end

local function fits(row, filter)
  if type(filter) == 'string' then
    return row.user == filter or row.peer == filter
  end
  for field, value in pairs(filter) do
    if row[field] ~= value then
      return false
    end
  end
  return true
end

function security.failures(filter)
  check_filter(filter)
  only_super('Read')
  local found = {}
  for _, row in ipairs(failures.list()) do
    if filter == nil or fits(row, filter) then
      found[#found + 1] = row
    end
  end
  return found
end

function security.reset(name)
  if name ~= nil and type(name) ~= 'string' then
    error('Usage: box.security.reset([name])', 0)
  end
  only_super('Write')
  return failures.reset(name)
end

return security
