-- Writes what box.stat, box.info and their kin look like in Tarantool, for
-- tests/workers/lua/test_stat_golden.py:
--
--   cd EMPTY_FOLDER && tarantool .../tarantool_stat.lua > .../tarantool_stat.json
--
-- For each source the shape of what it returns: the type of a value, for a table the shapes of what
-- it has by key; and the text of its error, where it raises one.

local json = require('json')

box.cfg{listen = '127.0.0.1:0', log = 'log', wal_mode = 'none'}

local SOURCES = {
  'box.stat()', 'box.stat.CALL', 'box.stat.NOPE', 'box.stat[1]', 'box.stat[{}]', 'box.stat.net()',
  'box.stat.net.SENT', 'box.stat.net.REQUESTS', 'box.stat.net.CONNECTIONS', 'box.stat.net.NOPE',
  'box.stat.net[true]', 'box.stat.reset()', 'box.stat.vinyl()', 'box.stat.sql()', 'box.info',
  'box.info()', 'box.info.NOPE', 'box.info.memory()', 'box.info.gc()', 'box.info.vinyl()',
  'box.info.sql()', 'box.info.replication', 'box.info.cluster', 'box.info.vclock',
  'box.info.memory', 'box.info().memory()', 'box.info().gc()', 'box.runtime.info()',
  'box.slab.info()',
}

local function shape(value)
  if type(value) ~= 'table' then
    return type(value)
  end
  local found = setmetatable({}, {__serialize = 'map'})
  for key, each in pairs(value) do
    found[tostring(key)] = shape(each)
  end
  return found
end

local found = setmetatable({}, {__serialize = 'map'})
for _, source in ipairs(SOURCES) do
  local ok, value = pcall(loadstring('return ' .. source))
  -- As a client gets it: box.info is written as what it says of itself.
  if ok and source == 'box.info' then
    value = json.decode(json.encode(value))
  end
  found[source] = ok and {shape(value)} or {json.NULL, (tostring(value):gsub('^.-%d+: ', ''))}
end
print(json.encode(found))
os.exit(0)
