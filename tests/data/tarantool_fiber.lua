-- Runs the cases of tarantool_fiber.json, each in a fiber of its own: {"lua": source, "result":
-- what it returns, as text}. A case sees `fiber`, the list `log`, and `add(...)`, which appends
-- to it.
--
--   tarantool tests/data/tarantool_fiber.lua    runs all of them and writes their results
--   loaded as a module                          returns run(source) -> text

local fiber = require('fiber')
local ffi = require('ffi')

local OWN = {fiber = true, ['fiber.channel'] = true, ['fiber.cond'] = true}
local DEEPEST = 5

local show

local function show_table(value, depth)
  local shown, keys, parts = {}, {}, {}
  for key in pairs(value) do
    keys[#keys + 1] = key
    shown[key] = show(key, depth + 1)
  end
  table.sort(keys, function(a, b) return shown[a] < shown[b] end)
  for index, key in ipairs(keys) do
    parts[index] = ('[%s] = %s'):format(shown[key], show(value[key], depth + 1))
  end
  return '{' .. table.concat(parts, ', ') .. '}'
end

function show(value, depth)
  local kind = type(value)
  if kind == 'string' then
    return (('%q'):format(value):gsub('\\\n', '\\n'))
  elseif kind == 'cdata' and ffi.istype('struct error', value) then
    return ('error(%s, %q)'):format(value.type, value.message)
  elseif kind == 'nil' or kind == 'number' or kind == 'boolean' then
    return tostring(value)
  elseif OWN[getmetatable(value)] then
    return ('<%s>'):format(getmetatable(value))
  elseif kind == 'table' and depth < DEEPEST then
    return show_table(value, depth)
  end
  return ('<%s>'):format(kind)
end

local function show_all(ok, ...)
  local parts = {}
  for index = 1, select('#', ...) do
    parts[index] = show((select(index, ...)), 0)
  end
  return (ok and '' or 'raises ') .. table.concat(parts, ', ')
end

local function run(source)
  local log = {}
  local function add(...)
    local count = select('#', ...)
    for index = 1, count do
      log[#log + 1] = (select(index, ...))
    end
    if count == 0 then
      log[#log + 1] = 'nothing'
    end
  end
  local case = assert(loadstring('local fiber, log, add = ... ' .. source, '=case'))
  local result
  fiber.create(function()
    result = show_all(pcall(case, fiber, log, add))
  end)
  local late = fiber.clock() + 2
  while result == nil and fiber.clock() < late do
    fiber.sleep(0.001)
  end
  return result or 'waits for ever'
end

if ... ~= nil then
  return run
end

local json = require('json')
local path = debug.getinfo(1, 'S').source:match('^@(.*)%.lua$') .. '.json'
local cases = {}
for line in io.lines(path) do
  local case = line:match('^({.*}),?$')
  if case ~= nil then
    case = json.decode(case)
    cases[#cases + 1] = ('{"lua": %s, "result": %s}')
      :format(json.encode(case.lua), json.encode(run(case.lua)))
  end
end
local file = assert(io.open(path, 'w'))
file:write('[\n', table.concat(cases, ',\n'), '\n]\n')
file:close()
os.exit(0)
