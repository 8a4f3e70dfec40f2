-- First chunk of every Lua runtime: where modules come from.
--
-- Called by workers/runtime.py with the folder of the Lua sources and the table of Python
-- services. Three kinds of names, and no search through the current folder:
--
--   beespace.engine.loop   our own files below the folder: engine/loop.lua
--   json, uuid, ...        what applications require: modules/json.lua
--   anything else          the application's own folder, once set_application has named it
--
-- Returns require, set_application(folder), seal(). After seal() our own files cannot be reached by
-- name any more: applications see what is meant for them, and each of our files is loaded once.

local root, services = ...

python = nil
package.loaded.python = nil

local function read(path)
  local file = io.open(path, 'rb')
  if file == nil then
    return nil
  end
  local text = file:read('*a')
  file:close()
  return text
end

-- Our own files keep the globals of the start: an application that gives one of these names another
-- meaning, as `table = {}` without `local` does, changes it for itself only.
local own_globals = {}
for name, value in pairs(_G) do
  own_globals[name] = value
end

local function load_file(path, chunk_name)
  local text = read(path)
  if text == nil then
    return nil
  end
  local chunk, err = loadstring(text, '@' .. chunk_name)
  if chunk == nil then
    error(err, 0)
  end
  return chunk
end

local sealed = false

local function own_searcher(name)
  local inner = name:match('^beespace%.([%w_.]+)$')
  if inner and sealed then
    return nil
  end
  local path = inner and inner:gsub('%.', '/') or name:match('^[%w_]+$') and 'modules/' .. name
  if path == nil then
    return nil
  end
  local chunk = load_file(root .. '/' .. path .. '.lua', 'beespace/' .. path .. '.lua')
  return chunk and setfenv(chunk, own_globals)
end

local application

local function application_searcher(name)
  if application == nil then
    return nil
  end
  local inner = name:gsub('%.', '/')
  local tried = ''
  for _, tail in ipairs({'.lua', '/init.lua'}) do
    local path = application .. '/' .. inner .. tail
    local chunk = load_file(path, path)
    if chunk ~= nil then
      return chunk
    end
    tried = tried .. "\n\tno file '" .. path .. "'"
  end
  return tried
end

package.path = ''
package.cpath = ''
package.loaders = {package.loaders[1], own_searcher, application_searcher}
package.loaded['beespace.bridge'] = services

local function set_application(folder)
  application = folder
end

local function seal()
  sealed = true
  for name in pairs(package.loaded) do
    if name:find('^beespace%.') then
      package.loaded[name] = nil
    end
  end
end

return require, set_application, seal
