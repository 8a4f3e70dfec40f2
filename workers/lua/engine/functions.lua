-- Functions of the catalog (box.schema.func.create) made runnable.
--
--   catalog.function_by_name --created(name)--> what CALL runs        asked by engine/call
--
-- A body is the text of an expression. It is compiled when the function is first called in this
-- worker and kept by the function's number, which no other function ever gets; the expression
-- itself sees no globals, the function it yields sees all of them, or its own copy of the safe ones
-- when it is sandboxed. A function without a body is a global that is looked up at each call;
-- nothing stands between it and its caller unless it runs as its owner.

local call = require('beespace.engine.call')
local catalog = require('beespace.engine.catalog')
local errors = require('beespace.box.error')
local user = require('beespace.engine.user')

local error, ipairs, loadstring, next, pairs, pcall = error, ipairs, loadstring, next, pairs, pcall
local setfenv, tostring, type = setfenv, tostring, type
local globals = _G

local functions = {}

-- What a sandboxed body sees.
local SAFE = {
  'assert', 'error', 'ipairs', 'math', 'next', 'pairs', 'pcall', 'print', 'select', 'string',
  'table', 'tonumber', 'tostring', 'type', 'unpack', 'utf8', 'xpcall',
}

-- Made functions by the number of their record.
local made = {}

local function copy(value)
  if type(value) ~= 'table' then
    return value
  end
  local copied = {}
  for key, each in pairs(value) do
    copied[key] = each
  end
  return copied
end

local function sandbox()
  local seen = {}
  for _, name in ipairs(SAFE) do
    seen[name] = copy(globals[name])
  end
  return seen
end

local function refuse(name, reason)
  error(errors.client('LOAD_FUNCTION', name, reason))
end

-- The function that a body stands for; raises what is wrong with it.
function functions.compile(name, body, is_sandboxed)
  local source = 'return ' .. body
  local chunk, reason = loadstring(source, source, 't')
  if chunk == nil then
    refuse(name, reason)
  end
  local ok, func = pcall(setfenv(chunk, {}))
  if not ok then
    refuse(name, tostring(func))
  end
  local environment = is_sandboxed and sandbox() or globals
  -- A function in C, which a method of a text can be, takes no other globals.
  if type(func) ~= 'function' or not pcall(setfenv, func, environment) then
    refuse(name, "given body doesn't define a function")
  end
  return func
end

-- There are no modules in C here, so none is found.
local function in_c(record)
  local module = record.name:match('^(.*)%.[^.]*$') or record.name
  return function()
    error(errors.client('LOAD_MODULE', module, 'module not found'))
  end
end

local function as_owner(record, func)
  local owner, name = record.owner, record.name
  if func ~= nil then
    return function(...)
      return user.as(owner, func, ...)
    end
  end
  return function(...)
    local found, object = call.resolve_global(name)
    if object ~= nil then
      return user.as(owner, found, object, ...)
    end
    return user.as(owner, found, ...)
  end
end

local function make(record)
  if record.language == 'C' then
    return in_c(record)
  end
  local func
  if record.body ~= '' then
    func = functions.compile(record.name, record.body, record.is_sandboxed)
  end
  if record.setuid then
    return as_owner(record, func)
  end
  return func
end

-- What CALL runs for this name: nil when the catalog has no such function, or one that is nothing
-- but a global.
function call.created(name)
  local record = catalog.function_by_name[name]
  if record == nil then
    return nil
  end
  local func = made[record.id]
  if func == nil then
    func = make(record)
    made[record.id] = func
  end
  return func
end

-- What the function of this name returns; nothing is checked.
function functions.call(name, ...)
  local found, object = call.resolve(name)
  if object ~= nil then
    return found(object, ...)
  end
  return found(...)
end

-- Whether the functions that were there at the last look are those that are there now.
local seen, seen_count = {}, 0

local function look()
  local now, count, same = {}, 0, true
  for id in pairs(catalog.functions) do
    now[id], count = true, count + 1
    same = same and seen[id] == true
  end
  same = same and count == seen_count
  seen, seen_count = now, count
  return same
end

catalog.on_refresh(function()
  if look() then
    return
  end
  for id in next, made do
    if catalog.functions[id] == nil then
      made[id] = nil
    end
  end
  call.forget()
end)

return functions
