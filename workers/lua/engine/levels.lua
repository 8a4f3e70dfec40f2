-- The level of the log: its names and numbers, and what it is set to.
--
--   log.level(), log.cfg{}, box.cfg{log_level =} --> set() --> this worker at once, and by the
--                                                    supervisor every process of the server
--   engine/live: a level that others have set    --> take()
--
-- Lines above the level are dropped, before they are put together (modules/log) and once more by
-- Python, whose lines have the same level.

local bridge = require('beespace.bridge')

local floor, max, min, type = math.floor, math.max, math.min, type

-- Numbers of Tarantool; its syserror is error here.
local NUMBERS = {
  fatal = 0, syserror = 1, error = 2, crit = 3, warn = 4, info = 5, verbose = 6, debug = 7,
}
local NAMES = {
  [0] = 'fatal', [1] = 'error', [2] = 'error', [3] = 'crit', [4] = 'warn', [5] = 'info',
  [6] = 'verbose', [7] = 'debug',
}

local levels = {
  NUMBERS = NUMBERS,
  -- The names, as Tarantool's errors list them.
  EXPECTED = 'crit,warn,info,debug,syserror,verbose,fatal,error',
  -- Called with the number of a new level; box/cfg sets it.
  changed = function(_) end,
}

-- Number of the level, asked of the bridge when it is first needed.
local threshold

-- The level as a number.
function levels.current()
  if threshold == nil then
    threshold = NUMBERS[bridge.log_level()]
  end
  return threshold
end

-- The name of a level that was given as a number, of which those beyond 0 ... 7 count as the
-- nearest and fractions are cut off, or as a name; nil when there is none.
function levels.name_of(level)
  if type(level) == 'number' and level == level then
    return NAMES[min(max(floor(level), 0), 7)]
  end
  return type(level) == 'string' and NAMES[NUMBERS[level]] or nil
end

-- Have this level, by its name, in this worker. Raises what is wrong with it.
function levels.take(name)
  local done, problem = bridge.log_level(name)
  if done == nil then
    error('log.level: ' .. problem, 0)
  end
  threshold = NUMBERS[name]
  levels.changed(threshold)
end

-- The same in all processes of the server.
function levels.set(name)
  levels.take(name)
  bridge.adjust('log.level', name)
end

return levels
