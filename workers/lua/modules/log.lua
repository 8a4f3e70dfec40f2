-- The log: require('log').
--
--   log.error, log.warn, log.info, log.verbose, log.debug (text), (format, ...) or (any value)
--   log.new(name)     the same functions, the lines carry the name of the module
--   log.level()       the level of the log as a number, 0 fatal ... 7 debug
--   log.level(level)  set it, by number or name, for all processes of the server; numbers beyond
--                     0 ... 7 count as the nearest of them, fractions are cut off
--   log.cfg           its level and its format; log.cfg{level =, format =} sets them
--   log.pid()         the process id of this worker
--   log.log_format(name)   nothing for the format in use; the other one is an error, the format is
--                     a setting of the server
--   log.rotate()      nothing: lines go to standard error, whoever collects them rotates
--
-- Lines go through the bridge to the log of the process, with the id of the session whose code
-- runs. A table alone becomes JSON; a text alone is not a format. The level: engine/levels.

local bridge = require('beespace.bridge')
local json = require('json')
local levels = require('beespace.engine.levels')
local state = require('beespace.engine.state')
local sys = require('beespace.engine.sys')

local ipairs, pairs, select, setmetatable = ipairs, pairs, select, setmetatable
local type, tostring, pcall, error = type, tostring, pcall, error
local format = string.format
local current, NUMBERS = levels.current, levels.NUMBERS

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

-- The level; with an argument, set it.
function log.level(...)
  if select('#', ...) == 0 then
    return current()
  end
  local level = ...
  local name = levels.name_of(level)
  if name == nil then
    error(format("log.level: expected a number or a name, got '%s'",
      tostring(level)), 0)
  end
  levels.set(name)
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

-- What log.cfg has: level and format.
local function settings()
  return {level = current(), format = bridge.log_format()}
end

-- Set what is given, when all of it can be.
local function configure(_, options)
  if type(options) ~= 'table' then
    error('log.cfg: expected a table, got ' .. type(options), 2)
  end
  for name in pairs(options) do
    if name ~= 'level' and name ~= 'format' then
      error(format("log.cfg: '%s' can't be set dynamically", tostring(name)), 2)
    end
  end
  if options.level ~= nil and levels.name_of(options.level) == nil then
    error(format("log.cfg: 'level' expected %s, or a number, got '%s'", levels.EXPECTED,
      tostring(options.level)), 2)
  end
  if options.format ~= nil then
    log.log_format(options.format)
  end
  if options.level ~= nil then
    levels.set(levels.name_of(options.level))
  end
end

log.cfg = setmetatable({}, {
  __call = configure,
  __index = function(_, name) return settings()[name] end,
  __newindex = function() error('log.cfg: use log.cfg{option = value}', 2) end,
  __serialize = settings,
})

-- Does nothing: there is no file, lines go to standard error.
function log.rotate()
end

return log
