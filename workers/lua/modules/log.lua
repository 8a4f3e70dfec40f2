-- The log: require('log').
--
--   log.error, log.warn, log.info, log.verbose, log.debug (text), (format, ...) or (any value)
--   log.new(name)     the same functions, the lines carry the name of the module
--   log.level()       the level of this worker as a number, 0 fatal ... 7 debug
--   log.level(level)  set it, by number or name, for this worker; numbers beyond 0 ... 7 count as
--                     the nearest of them, fractions are cut off
--   log.pid()         the process id of this worker
--   log.log_format(name)   nothing for the format in use; the other one is an error, the format is
--                     a setting of the server
--   log.rotate()      nothing: lines go to standard error, whoever collects them rotates
--
-- Lines go through the bridge to the log of the process, with the id of the session whose code
-- runs. A table alone becomes JSON; a text alone is not a format.

local bridge = require('beespace.bridge')
local json = require('json')
local state = require('beespace.engine.state')
local sys = require('beespace.engine.sys')

local select, type, tostring, pcall, error = select, type, tostring, pcall, error
local format = string.format

local NAMES = {
  [0] = 'fatal', [1] = 'fatal', [2] = 'error', [3] = 'crit', [4] = 'warn', [5] = 'info',
  [6] = 'verbose', [7] = 'debug',
}
local NUMBERS = {fatal = 0, error = 2, crit = 3, warn = 4, info = 5, verbose = 6, debug = 7}

-- Lines above this number are dropped; asked of the bridge when it is first needed.
local threshold

local function current()
  if threshold == nil then
    threshold = NUMBERS[bridge.log_level()]
  end
  return threshold
end

local function text_of(value, ...)
  if select('#', ...) ~= 0 then
    local ok, text = pcall(format, value, ...)
    if not ok then
      error(text, 0)
    end
    return text
  elseif type(value) == 'table' then
    return json.encode(value)
  end
  return tostring(value)
end

local function make_logger(name)
  local logger = {}
  for _, level in ipairs({'error', 'warn', 'info', 'verbose', 'debug'}) do
    local number = NUMBERS[level]
    logger[level] = function(...)
      if number <= current() then
        local text = text_of(...)
        bridge.log(level, text, state.session_id(), name)
      end
    end
  end
  return logger
end

local log = make_logger(nil)

-- Functions whose lines carry a module's name.
function log.new(name)
  if type(name) ~= 'string' then
    error('log.new(name): expected a string, got ' .. type(name), 0)
  end
  return make_logger(name)
end

-- The level of this worker; with an argument, set it.
function log.level(...)
  if select('#', ...) == 0 then
    return current()
  end
  local level = ...
  if type(level) == 'number' and level == level then
    level = math.min(math.max(math.floor(level), 0), 7)
  end
  local name = NAMES[level] or NUMBERS[level] and level
  if name == nil then
    error(format("log.level: expected a number or a name, got '%s'",
      tostring(level)), 0)
  end
  local done, problem = bridge.log_level(name)
  if done == nil then
    error('log.level: ' .. problem, 0)
  end
  threshold = NUMBERS[name]
end

-- The process id of this worker.
function log.pid()
  return sys.C.getpid()
end

-- Accepts the format in use, 'plain' or 'json'; it cannot be changed while the server runs.
function log.log_format(name)
  if name ~= 'plain' and name ~= 'json' then
    error(format("log.log_format: expected 'plain' or 'json', got '%s'", tostring(name)), 0)
  end
  local used = bridge.log_format()
  if name ~= used then
    error(format("log.log_format: the format is '%s' and cannot be changed to '%s' while the"
      .. ' server runs', used, name), 0)
  end
end

-- Does nothing: there is no file, lines go to standard error.
function log.rotate()
end

return log
