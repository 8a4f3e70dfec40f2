-- box.info: what this server and this worker are.
--
-- box/init puts it into `box`. `pid` and `worker` speak of the worker that runs the code,
-- everything else of the server. box.info() gives the same as a plain table.

local const = require('beespace.engine.const')
local shared = require('beespace.engine.table')
local sys = require('beespace.engine.sys')

local info = {}

local function uptime(started)
  return math.floor(sys.clock(sys.CLOCK_REALTIME) - started)
end

-- Make box.info; `facts` has version (of beespace), uuid (text).
function info.make(facts)
  local started = tonumber(shared.header.started)
  local values = {
    version = const.GREETING_VERSION,
    package = 'beespace',
    package_version = facts.version,
    pid = sys.C.getpid(),
    uuid = facts.uuid,
    status = 'running',
  }
  local function worker()
    return {id = tonumber(shared.row.number), count = tonumber(shared.header.serving)}
  end
  local function snapshot()
    local copy = {uptime = uptime(started), worker = worker()}
    for key, value in pairs(values) do
      copy[key] = value
    end
    return copy
  end
  return setmetatable({}, {
    __index = function(_, key)
      if key == 'uptime' then
        return uptime(started)
      elseif key == 'worker' then
        return worker()
      end
      return values[key]
    end,
    known = snapshot(),
    __call = snapshot,
    __serialize = snapshot,
  })
end

return info
