-- box.info: what this server and this worker are.
--
-- box/init puts it into `box`. `pid` and `worker` speak of the worker that runs the code,
-- everything else of the server. box.info() gives the same as a plain table; `memory`, `gc`,
-- `vinyl` and `sql` are called for what they have to say.
--
-- What Tarantool says of its data is there in the same form, as of a server that is alone and has
-- written nothing: dashboards and connectors look for it.

local const = require('beespace.engine.const')
local decode = require('beespace.engine.decode')
local memory = require('beespace.box.memory')
local shared = require('beespace.engine.table')
local stat = require('beespace.box.stat')
local sys = require('beespace.engine.sys')

local pairs, setmetatable, tonumber = pairs, setmetatable, tonumber
local ID = 1

local info = {}

-- A table that is called for what it has to say.
local function on_call(answer)
  return setmetatable({}, {__call = function() return answer() end})
end

local function map(values)
  return setmetatable(values, decode.map_mt)
end

local function gc()
  local first = {signature = 0, vclock = map({}), references = {}}
  return {
    signature = 0, vclock = map({}), checkpoint_is_in_progress = false, checkpoints = {first},
    consumers = {},
  }
end

local function uptime()
  return math.floor(sys.clock(sys.CLOCK_REALTIME) - tonumber(shared.header.started))
end

local function worker()
  return {id = tonumber(shared.row.number), count = tonumber(shared.header.serving)}
end

-- What is another table at each look, or another value.
local fresh = {
  cluster = function(facts) return {uuid = facts.uuid} end,
  replication = function(facts) return map({[ID] = {id = ID, uuid = facts.uuid, lsn = 0}}) end,
  replication_anon = function() return {count = 0} end,
  uptime = uptime,
  vclock = function() return map({}) end,
  worker = worker,
}

local function constants(facts)
  return {
    version = const.GREETING_VERSION,
    package = 'beespace',
    package_version = facts.version,
    id = ID,
    uuid = facts.uuid,
    pid = sys.C.getpid(),
    listen = facts.listen,
    status = 'running',
    ro = false,
    lsn = 0,
    signature = 0,
    memory = on_call(memory.info),
    gc = on_call(gc),
    vinyl = on_call(stat.vinyl),
    sql = on_call(function() return {cache = {size = 0, stmt_count = 0}} end),
  }
end

-- Make box.info; `facts` has version (of beespace), uuid (text), listen (as box.cfg has it).
function info.make(facts)
  local values = constants(facts)
  local function snapshot()
    local copy = {}
    for key, value in pairs(values) do
      copy[key] = value
    end
    for key, make in pairs(fresh) do
      copy[key] = make(facts)
    end
    return copy
  end
  return setmetatable({}, {
    __index = function(_, key)
      local make = fresh[key]
      if make ~= nil then
        return make(facts)
      end
      return values[key]
    end,
    known = snapshot(),
    __call = snapshot,
    __serialize = snapshot,
  })
end

return info
