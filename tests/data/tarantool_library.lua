-- Evaluates the expressions of tarantool_library.json: {group: {expression: results, as text}}.
--
--   tarantool tests/data/tarantool_library.lua    evaluates all of them and writes the results
--   loaded as a module                            returns evaluate(expression) -> text

local DEEPEST = 5

local show

local function sorted_keys(map)
  local keys = {}
  for key in pairs(map) do
    keys[#keys + 1] = key
  end
  table.sort(keys, function(a, b) return type(a) .. tostring(a) < type(b) .. tostring(b) end)
  return keys
end

local function show_table(map, depth)
  local parts = {}
  for index, key in ipairs(depth < DEEPEST and sorted_keys(map) or {}) do
    local name = type(key) == 'number' and '' or tostring(key) .. ' = '
    parts[index] = name .. show(map[key], depth + 1)
  end
  return '{' .. table.concat(parts, ', ') .. '}'
end

function show(value, depth)
  local kind = type(value)
  if kind == 'string' then
    return ('%q'):format(value):gsub('[\128-\255]', function(byte)
      return ('\\%d'):format(byte:byte())
    end)
  elseif kind == 'number' then
    return ('%.17g'):format(value)
  elseif kind == 'nil' or kind == 'boolean' then
    return tostring(value)
  elseif kind == 'table' then
    return show_table(value, depth)
  end
  return (kind .. ' ' .. tostring(value)):gsub('0x%x+', '<address>')
end

local function outcome(ok, ...)
  local parts = {}
  for index = 1, select('#', ...) do
    parts[index] = show((select(index, ...)), 0)
  end
  return (ok and '' or 'error: ') .. table.concat(parts, ', ')
end

local function evaluate(expression)
  local chunk = loadstring('return ' .. expression, '=e') or assert(loadstring(expression, '=e'))
  return outcome(pcall(chunk))
end

if ... ~= nil then
  return evaluate
end

local json = require('json')
local path = debug.getinfo(1, 'S').source:match('^@(.*)%.lua$') .. '.json'
local file = assert(io.open(path))
local groups = json.decode(file:read('*a'))
file:close()

local lines = {}
for _, group in ipairs(sorted_keys(groups)) do
  local cases = {}
  for index, expression in ipairs(sorted_keys(groups[group])) do
    cases[index] = ('  %s: %s'):format(json.encode(expression), json.encode(evaluate(expression)))
  end
  lines[#lines + 1] = ('%s: {\n%s\n}'):format(json.encode(group), table.concat(cases, ',\n'))
end
file = assert(io.open(path, 'w'))
file:write('{', table.concat(lines, ',\n'), '}\n')
file:close()
os.exit()
