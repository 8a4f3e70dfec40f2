-- Calls every public function with wrong arguments; the texts of errors that name the engine's own
-- files, one a line.

local ARGUMENTS = {
  {}, {5}, {'x'}, {{}}, {true}, {coroutine.create(print)}, {{}, {}}, {'x', {}}, {5, {}, {}},
  {-1, 'x', true},
}
-- Another coroutine's business.
local SKIPPED = {['coroutine.yield'] = true}
local MODULES = {'fiber', 'json', 'yaml', 'msgpack', 'console', 'uuid', 'decimal', 'datetime',
  'digest', 'uri', 'clock', 'errno', 'tarantool', 'varbinary', 'trigger', 'compat'}
local GLOBALS = {'box', 'string', 'table', 'coroutine', 'math', 'bit'}
local FUNCTIONS = {'require', 'tostring', 'tonumber', 'loadstring', 'load', 'setmetatable',
  'getmetatable', 'pairs', 'ipairs', 'next', 'select', 'unpack', 'rawget', 'rawset', 'setfenv'}

local seen, leaks, called = {}, {}, 0

local function try(name, func)
  for place = 1, #ARGUMENTS do
    called = called + 1
    local ok, raised = pcall(func, unpack(ARGUMENTS[place]))
    if not ok and tostring(raised):find('beespace/', 1, true) then
      leaks[#leaks + 1] = ('%s %d: %s'):format(name, place, tostring(raised))
    end
  end
end

local function sweep(path, object, depth)
  if seen[object] or SKIPPED[path] then
    return
  end
  seen[object] = true
  for name, value in pairs(object) do
    local full = path .. '.' .. tostring(name)
    if type(value) == 'table' and depth < 3 then
      sweep(full, value, depth + 1)
    elseif type(value) == 'function' and not SKIPPED[full] and not full:find('%.__%l+$') then
      try(full, value)
    end
  end
end

for _, name in ipairs(MODULES) do
  sweep(name, require(name), 0)
end
for _, name in ipairs(GLOBALS) do
  sweep(name, _G[name], 0)
end
for _, name in ipairs(FUNCTIONS) do
  try(name, _G[name])
end
for _, method in ipairs({'put', 'get', 'has_readers', 'close', 'count'}) do
  try('channel:' .. method, require('fiber').channel(1)[method])
end
for _, method in ipairs({'wait', 'signal', 'broadcast'}) do
  try('cond:' .. method, require('fiber').cond()[method])
end
for _, key in ipairs({'nil', '0/0'}) do
  local list = require('json').decode('[1]')
  try('index ' .. key, loadstring(('local list = ... return function() list[%s] = 1 end')
    :format(key))(list))
end
return called, table.concat(leaks, '\n')
