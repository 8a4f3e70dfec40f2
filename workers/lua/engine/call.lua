-- From a name or a source text to a function.
--   CALL  name   -> resolve: walks the globals anew each time, so a redefinition is seen at once;
--                   only the way to the function is kept, not the function
--   EVAL  source -> compile: compiled chunks are kept by their text, bounded
--
-- Both come in two forms, for a Lua string and for bytes in a packet (see engine/texts).
--
-- Functions of the catalog that have a body, or run as their owner, go before all globals:
-- created() finds them, and forget() is called when there are others than before.
--
-- A name is tokens joined by dots; `:method` takes the whole rest and passes the object first;
-- `[1]`, `["text"]` and `['text']` index too.

local ffi = require('ffi')
local errors = require('beespace.box.error')
local texts = require('beespace.engine.texts')

local to_string, cast = ffi.string, ffi.cast
local ptr = ffi.typeof('uint8_t *')
local type, loadstring, getmetatable, error = type, loadstring, getmetatable, error
local tonumber = tonumber
local globals = _G
local MAX_NAMES = 10000
local MAX_CHUNKS = 1000
local MAX_KEPT_SOURCE = 4096

local call = {
  -- The function that the catalog has under this name, nil for a name of globals only;
  -- engine/functions sets it.
  created = function(_) end,
}

local paths, path_count = {}, 0

-- Functions that are found by their whole name, before any global.
local exported = {}

-- One `[...]` step at `at`: its key and where the next step begins, nil when it is malformed.
local function bracket(name, at)
  local number, after = name:match('^%[(%-?%d+)%]()', at)
  if number ~= nil then
    return tonumber(number), after
  end
  local _, text
  _, text, after = name:match('^%[(["\'])(.-)%1%]()', at)
  return text, after
end

-- The steps of a name: a list of keys, `method` for the last one after a colon, or `broken`.
local function steps_of(name)
  local stop = name:find('[.:%[]') or #name + 1
  local steps, at = {name:sub(1, stop - 1)}, stop
  while at <= #name do
    local sign = name:sub(at, at)
    if sign == '.' then
      stop = name:find('[.:%[]', at + 1) or #name + 1
      steps[#steps + 1] = name:sub(at + 1, stop - 1)
    elseif sign == ':' then
      steps.method = name:sub(at + 1)
      stop = #name + 1
    elseif sign == '[' then
      local key
      key, stop = bracket(name, at)
      if key == nil then
        return {broken = true}
      end
      steps[#steps + 1] = key
    else
      return {broken = true}
    end
    at = stop
  end
  return steps
end

-- Remember how a name splits: the name itself when it is one plain token, else its steps.
local function learn(name)
  if path_count >= MAX_NAMES then
    paths, path_count = {}, 0
  end
  path_count = path_count + 1
  local steps = steps_of(name)
  local path = steps
  if not steps.broken and steps.method == nil and #steps == 1 then
    path = steps[1]
  end
  paths[name] = path
  return path
end

local function undefined(name)
  error(errors.client('NO_SUCH_PROC', name))
end

local function indexable(value)
  local kind = type(value)
  return kind == 'table' or kind == 'userdata'
end

-- Follow steps beyond the third, or with a method: function and object, nil when there is none.
local function walk(steps)
  if steps.broken then
    return nil
  end
  local value = globals[steps[1]]
  for index = 2, #steps do
    if not indexable(value) then
      return nil
    end
    value = value[steps[index]]
  end
  if steps.method == nil then
    return value
  elseif indexable(value) then
    return value[steps.method], value
  end
  return nil
end

-- What a table that is called as a function must have.
local function callable_table(found, name)
  if type(found) ~= 'table' then
    undefined(name)
  end
  local metatable = getmetatable(found)
  if type(metatable) ~= 'table' or metatable.__call == nil then
    error('attempt to call a table value', 0)
  end
  return found
end

-- The function that has exactly this name in the catalog, or was exported under it.
local function by_whole_name(name)
  return call.created(name) or exported[name]
end

-- What the globals have under this name, and the object to pass first for a method; error 33 when
-- that is nothing.
function call.resolve_global(name)
  local found, object
  local path = paths[name] or learn(name)
  if type(path) == 'string' then
    found = globals[path]
  else
    found, object = walk(path)
  end
  if type(found) == 'function' then
    return found, object
  end
  return callable_table(found, name), object
end

-- The function of this name, and the object to pass first for a method; error 33 when there is
-- none.
function call.resolve(name)
  local found = by_whole_name(name)
  if found ~= nil then
    return found, nil
  end
  return call.resolve_global(name)
end

-- Source of a function that reaches a name of one to three plain steps. Its keys are constants, so
-- LuaJIT reads each table at a known place, while every call still looks.
local REACH = [[
local globals, type, walk, steps = ...
return function()
  local value = globals[%q]
  %s
  return value
end
]]
local REACH_STEP = [[
  if type(value) ~= 'table' then
    return walk(steps)
  end
  value = value[%q]
]]
local MAX_STEPS = 3

local function plain(steps)
  local all_text = not steps.broken and steps.method == nil and #steps <= MAX_STEPS
  for index = 1, #steps do
    all_text = all_text and type(steps[index]) == 'string'
  end
  return all_text
end

local function reach(steps)
  local parts = {}
  for index = 2, #steps do
    parts[#parts + 1] = REACH_STEP:format(steps[index])
  end
  local source = REACH:format(steps[1], table.concat(parts))
  return loadstring(source, '=reach')(globals, type, walk, steps)
end

local find_name, keep_name, clear_names = texts.new()

-- Recognise the whole name of a function by its bytes.
local function keep_whole(name, func)
  keep_name(cast(ptr, name), 0, #name, function()
    return func
  end)
end

-- The same for the name of `length` bytes at p+at.
function call.resolve_bytes(p, at, length)
  local get = find_name(p, at, length)
  if get then
    local found = get()
    if type(found) == 'function' then
      return found, nil
    end
  end
  local name = to_string(p + at, length)
  local found, object = call.resolve(name)
  if not get and type(found) == 'function' then
    local steps = steps_of(name)
    if found == by_whole_name(name) then
      keep_whole(name, found)
    elseif plain(steps) then
      keep_name(p, at, length, reach(steps))
    end
  end
  return found, object
end

-- Names are looked for anew: the catalog has other functions than before, or one is exported.
function call.forget()
  clear_names()
end

-- Make a function callable by exactly this name; false when the name is taken.
function call.export(name, func)
  if exported[name] ~= nil then
    return false
  end
  exported[name] = func
  call.forget()
  return true
end

local chunks, chunk_count = {}, 0

-- A chunk that may change its own environment is compiled anew each time.
local function reusable(source)
  return #source <= MAX_KEPT_SOURCE and not source:find('setfenv', 1, true)
end

-- The chunk of this source text, never bytecode; a syntax error is raised as its text.
function call.compile(source)
  local chunk = chunks[source]
  if chunk ~= nil then
    return chunk
  end
  local err
  chunk, err = loadstring(source, '=eval', 't')
  if chunk == nil then
    error(err, 0)
  end
  if reusable(source) then
    if chunk_count >= MAX_CHUNKS then
      chunks, chunk_count = {}, 0
    end
    chunks[source] = chunk
    chunk_count = chunk_count + 1
  end
  return chunk
end

local find_source, keep_source = texts.new()

-- The same for the source of `length` bytes at p+at.
function call.compile_bytes(p, at, length)
  local chunk = find_source(p, at, length)
  if not chunk then
    local source = to_string(p + at, length)
    chunk = call.compile(source)
    if reusable(source) then
      keep_source(p, at, length, chunk)
    end
  end
  return chunk
end

return call
