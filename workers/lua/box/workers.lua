-- box.workers: the workers of this server, for applications.
--
--   count(), id()                   how many serve, and which one of them this is, from 0
--   call(name, arguments, options)  a function, by its name as CALL finds it
--   eval(source, arguments, options)
--
-- An old worker, which is replaced but still has sessions, has the number of the new one in its
-- place. It is asked by 'all', after those that serve, and cannot be named.
--
-- options: target = 'all' (the default), 'any' (one after the other), or a worker's number; timeout
-- in seconds. Answers a list with a list of the returned values for each worker that was asked, as
-- Tarantool's experimental.threads does. Any error is raised, with the worker's number in its text.

local bus = require('beespace.engine.bus')
local errand = require('beespace.engine.errand')
local errors = require('beespace.box.error')
local fibers = require('beespace.engine.fibers')
local shared = require('beespace.engine.table')

local error, pairs, pcall, tostring = error, pairs, pcall, tostring
local tonumber, type = tonumber, type
local floor = math.floor

-- Seconds an errand may take unless the caller says otherwise.
local TIMEOUT = 10

local workers = {}

-- The worker that the last errand for any worker went to.
local turn = -1

-- Number of workers.
function workers.count()
  return tonumber(shared.header.serving)
end

-- Number of this worker.
function workers.id()
  return tonumber(shared.row.number)
end

local function fail(worker, code, text)
  local number = tonumber(shared.rows[worker].number)
  error(errors.api.new({code = code, reason = ('worker %d: %s'):format(number, text)}), 0)
end

-- The next worker that is there; this one always is.
local function any()
  for _ = 1, bus.count do
    turn = (turn + 1) % bus.count
    if shared.rows[turn].on_duty == 1 and errand.is_there(turn) then
      return turn
    end
  end
  return bus.index
end

local function bad(what, usage)
  error(errors.client('ILLEGAL_PARAMS', ('%s: %s'):format(usage, what)), 0)
end

-- The targets that options name, as a list.
local function targets_of(target, usage)
  if target == 'any' then
    return {any()}
  elseif target == nil or target == 'all' then
    return shared.crew()
  elseif type(target) == 'number' and target == floor(target) and target >= 0 then
    local row = shared.row_of(target)
    if row ~= nil then
      return {row}
    end
  end
  local last = workers.count() - 1
  return bad(("target: expected 'all', 'any' or a worker from 0 to %d"):format(last), usage)
end

local function check(text, arguments, options, usage)
  local timeout = options.timeout
  for name in pairs(options) do
    if name ~= 'target' and name ~= 'timeout' then
      bad(("expected the options target and timeout, got '%s'"):format(tostring(name)), usage)
    end
  end
  if type(text) ~= 'string' then
    bad('expected a string as 1 argument', usage)
  elseif type(arguments) ~= 'table' then
    bad('expected a table of arguments as 2 argument', usage)
  elseif timeout ~= nil and not (type(timeout) == 'number' and timeout >= 0) then
    bad('timeout: expected a number of seconds', usage)
  end
  return fibers.clock() + (timeout or TIMEOUT)
end

-- Number of arguments in a list, which may say so itself.
local function count_of(arguments)
  return type(arguments.n) == 'number' and arguments.n or table.maxn(arguments)
end

local function forget_all(tickets)
  for index = 1, #tickets do
    errand.forget(tickets[index])
  end
end

local function ask_all(targets, kind, text, arguments)
  for index = 1, #targets do
    if not errand.is_there(targets[index]) then
      fail(targets[index], 77, 'it is not there')
    end
  end
  local tickets = {}
  for index = 1, #targets do
    tickets[index] = errand.ask(targets[index], kind, text, arguments, count_of(arguments))
    if tickets[index] == nil then
      forget_all(tickets)
      fail(targets[index], 32, 'it does not keep up')
    end
  end
  return tickets
end

local function collect_all(tickets, deadline)
  local results = {}
  for index = 1, #tickets do
    local ok, values, text = errand.collect(tickets[index], deadline)
    if not ok then
      fail(tickets[index].worker, values, text)
    end
    results[index] = values
  end
  return results
end

local function run(kind, text, arguments, options, usage)
  arguments, options = arguments or {}, options or {}
  if type(options) ~= 'table' then
    bad('expected a table of options as 3 argument', usage)
  end
  local deadline = check(text, arguments, options, usage)
  local tickets = ask_all(targets_of(options.target, usage), kind, text, arguments)
  local ok, results = pcall(collect_all, tickets, deadline)
  forget_all(tickets)
  if not ok then
    error(results, 0)
  end
  return results
end

function workers.call(name, arguments, options)
  return run('call', name, arguments, options, 'box.workers.call(name[, arguments[, options]])')
end

function workers.eval(source, arguments, options)
  return run('eval', source, arguments, options, 'box.workers.eval(source[, arguments[, options]])')
end

return workers
