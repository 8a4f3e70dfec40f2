-- What Tarantool adds to os and debug, and dostring: the worker's environment and source files.
--
-- box/init calls define() with the globals. os.setenv changes the environment of this worker only.

local ffi = require('ffi')
local sys = require('beespace.engine.sys')

local getinfo = debug.getinfo
local error, loadstring, tostring, type = error, loadstring, tostring, type
local find, match = string.find, string.match

local process = {}

-- All variables of the environment by name.
function process.environ()
  local result, list, index = {}, ffi.C.environ, 0
  while list ~= nil and list[index] ~= nil do
    local name, value = match(ffi.string(list[index]), '^([^=]+)=(.*)$')
    if name ~= nil then
      result[name] = value
    end
    index = index + 1
  end
  return result
end

-- Set a variable, or take it away: setenv(name[, value]).
function process.setenv(name, value)
  if type(name) ~= 'string' or name == '' or find(name, '[=%z]') then
    error("os.setenv(): the name of a variable expected, a text without '='", 2)
  elseif value == nil then
    sys.C.unsetenv(name)
  elseif type(value) ~= 'string' and type(value) ~= 'number' then
    error(('os.setenv(): a text expected as value, got %s'):format(type(value)), 2)
  else
    sys.C.setenv(name, tostring(value), 1)
  end
end

-- The file the code at a level was read from; nil for code that is from none.
local function source_file(level)
  local at = getinfo(level + 1, 'S')
  return at and match(at.source, '^@(.*)$') or nil
end

-- Name of the caller's file: sourcefile([level]).
function process.sourcefile(level)
  local file = source_file((type(level) == 'number' and level or 0) + 2)
  return file
end

-- Folder of the caller's file: sourcedir([level]).
function process.sourcedir(level)
  local file = source_file((type(level) == 'number' and level or 0) + 2)
  return file and match(file, '^(.*)/[^/]*$') or '.'
end

-- Run a text: dostring(text, ...) is what it returns.
function process.dostring(text, ...)
  if type(text) ~= 'string' and type(text) ~= 'number' then
    error(('dostring(): a text expected, got %s'):format(type(text)), 2)
  end
  local chunk, problem = loadstring(text)
  if chunk == nil then
    error(problem, 0)
  end
  return chunk(...)
end

function process.define(globals)
  globals.os.environ, globals.os.setenv = process.environ, process.setenv
  globals.debug.sourcefile, globals.debug.sourcedir = process.sourcefile, process.sourcedir
  globals.dostring = process.dostring
end

return process
