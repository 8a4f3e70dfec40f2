-- What every worker has by name: the server's globals, modules, and what is in them.
--
-- engine/shipping asks before it copies a value for the other workers: what has a path is not
-- copied, each worker uses its own. A path is a list of texts: the sort of its root, the name of a
-- global or a module, and the keys from there on.
--
--   string.format         {'global', 'string', 'format'}
--   require('shop').sell  {'module', 'shop', 'sell'}

local ipairs, next, pcall, rawget, type = ipairs, next, pcall, rawget, type
local globals, loaded = _G, package.loaded

-- Steps below a global or a module, and values that are looked at.
local DEPTH, MOST = 4, 20000
-- Entries of a table that is data, and not looked into.
local LARGE = 5000
local GLOBAL, MODULE = 'global', 'module'

local landmarks = {}

-- Names of the globals that the server has made.
local names = {}

-- The globals that are there now are the server's.
function landmarks.attach()
  names = {}
  for name in next, globals do
    if type(name) == 'string' then
      names[#names + 1] = name
    end
  end
  -- The same value has the same path in every worker.
  table.sort(names)
end

local function has_path(value)
  local kind = type(value)
  return kind == 'table' or kind == 'function' or kind == 'userdata'
end

local function extended(path, key)
  local longer = {}
  for index, step in ipairs(path) do
    longer[index] = step
  end
  longer[#longer + 1] = key
  return longer
end

local function sorted_texts(map)
  local keys, seen = {}, 0
  for key in next, map do
    seen = seen + 1
    if seen > LARGE then
      return {}
    elseif type(key) == 'string' then
      keys[#keys + 1] = key
    end
  end
  table.sort(keys)
  return keys
end

-- Add a value to the paths, and to those whose content is looked at next.
local function visit(paths, list, value, path)
  if has_path(value) and paths[value] == nil then
    paths[value] = path
    if type(value) == 'table' and value ~= loaded then
      list[#list + 1] = value
    end
  end
end

local function visit_roots(paths, list)
  paths[globals] = {GLOBAL}
  for _, name in ipairs(names) do
    visit(paths, list, rawget(globals, name), {GLOBAL, name})
  end
  for _, name in ipairs(sorted_texts(loaded)) do
    if name:sub(1, 9) ~= 'beespace.' then
      visit(paths, list, loaded[name], {MODULE, name})
    end
  end
end

-- Paths by value, the shortest ones; made anew at each call.
function landmarks.paths()
  local paths, list = {}, {}
  visit_roots(paths, list)
  local at = 1
  while at <= #list and at <= MOST do
    local value = list[at]
    local path = paths[value]
    if #path < DEPTH + 2 then
      for _, key in ipairs(sorted_texts(value)) do
        visit(paths, list, rawget(value, key), extended(path, key))
      end
    end
    at = at + 1
  end
  return paths
end

local function module(name)
  local found = loaded[name]
  if found == nil then
    local ok, value = pcall(globals.require, name)
    return ok and value or nil
  end
  return found
end

-- What has this path here, nil when nothing has. A module is loaded when it is not yet.
function landmarks.find(path)
  local value, from = globals, 2
  if path[1] == MODULE then
    value, from = module(path[2]), 3
  end
  for index = from, #path do
    if type(value) ~= 'table' then
      return nil
    end
    value = rawget(value, path[index])
  end
  return value
end

-- A path as an application would write it.
function landmarks.describe(path)
  if path[1] == GLOBAL then
    return #path == 1 and '_G' or table.concat(path, '.', 2)
  end
  local keys = #path > 2 and '.' .. table.concat(path, '.', 3) or ''
  return ("require('%s')%s"):format(path[2], keys)
end

return landmarks
