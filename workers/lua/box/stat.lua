-- box.stat: what the server has done, in the form that Tarantool's dashboards read.
--
--   box.stat()                 operations: {CALL = {total =, rps =}, ...}; box.stat.CALL for one
--   box.stat.net()             {SENT =, RECEIVED =, CONNECTIONS =, REQUESTS =, ...}, some of them
--                              with `current` besides; box.stat.net.SENT for one
--   box.stat.net.thread()      the same for each worker, by its number; thread[N] for one
--   box.stat.reset()           all totals and rates begin at 0 again, in all workers
--   box.stat.vinyl(), sql()    engines that this server does not have: zeros
--
-- box/init puts it into `box`. Any worker answers for all, from the rows of the segment and
-- engine/rates. A worker that drains counts with the number it has had.

local rates = require('beespace.engine.rates')
local shared = require('beespace.engine.table')
local state = require('beespace.engine.state')

local error, ipairs, pairs, setmetatable = error, ipairs, pairs, setmetatable
local tonumber, type = tonumber, type
local floor, max = math.floor, math.max
local st = state.st

-- Operations that the server counts, and those that it knows by name only.
local COUNTED = {
  AUTH = rates.AUTHS,
  CALL = rates.CALLS,
  ERROR = rates.ERRORS,
  EVAL = rates.EVALS,
  SELECT = rates.SELECTS,
}
local NEVER = {'DELETE', 'EXECUTE', 'INSERT', 'PREPARE', 'REPLACE', 'UPDATE', 'UPSERT'}

-- Indexes of all rows.
local function everybody()
  local list = {}
  for index = 0, tonumber(shared.header.workers) - 1 do
    list[#list + 1] = index
  end
  return list
end

-- A counter over these rows.
local function item(counter, list)
  local total, growth = 0, 0
  for _, index in ipairs(list) do
    total = total + rates.total(counter, index)
    growth = growth + rates.growth(counter, index)
  end
  return {total = total, rps = floor(growth / rates.SECONDS)}
end

local function operations()
  local list, found = everybody(), {}
  for name, counter in pairs(COUNTED) do
    found[name] = item(counter, list)
  end
  for _, name in ipairs(NEVER) do
    found[name] = {total = 0, rps = 0}
  end
  return found
end

-- What the workers of these rows have at hand now: sessions, requests that are executed, requests
-- that wait for their stream, streams. A dead worker's row still says what it had.
local function at_hand(list)
  local sessions, executed, queued, streams = 0, 0, 0, 0
  for _, index in ipairs(list) do
    local row = shared.rows + index
    sessions = sessions + max(tonumber(row.assigned - row.freed - row.reclaimed), 0)
    if row.pid ~= 0 then
      executed = executed + tonumber(row.in_progress)
      queued = queued + tonumber(row.queued)
      streams = streams + tonumber(row.streams)
    end
    if row == shared.row and st.in_request ~= 0 then
      -- The request that asks; it is in the row only when it has waited.
      executed = executed + 1
    end
  end
  return sessions, executed, queued, streams
end

local function network(list)
  local sessions, executed, queued, streams = at_hand(list)
  local found = {
    SENT = item(rates.BYTES_OUT, list),
    RECEIVED = item(rates.BYTES_IN, list),
    CONNECTIONS = item(rates.ASSIGNED, list),
    STREAMS = item(rates.STREAMS, list),
    REQUESTS = item(rates.REQUESTS, list),
    REQUESTS_IN_PROGRESS = item(rates.REQUESTS, list),
    REQUESTS_IN_STREAM_QUEUE = item(rates.QUEUED, list),
  }
  found.CONNECTIONS.current = sessions
  found.STREAMS.current = streams
  found.REQUESTS.total = found.REQUESTS.total + queued
  found.REQUESTS.current = executed + queued
  found.REQUESTS_IN_PROGRESS.current = executed
  found.REQUESTS_IN_STREAM_QUEUE.current = queued
  return found
end

-- Rows of the workers that have this number: the one on duty and those that drain.
local function rows_of(number)
  local list = {}
  for index = 0, tonumber(shared.header.workers) - 1 do
    if shared.is_used(index) and shared.rows[index].number == number then
      list[#list + 1] = index
    end
  end
  return list
end

local function threads()
  local found = {}
  for number = 0, tonumber(shared.header.serving) - 1 do
    found[number] = network(rows_of(number))
  end
  return found
end

-- Raise unless the key is of a type that Tarantool takes.
local function check(key, wanted)
  local is_good = wanted == 'number' and tonumber(key) ~= nil
    or wanted == 'string' and (type(key) == 'string' or type(key) == 'number')
  if not is_good then
    error(("bad argument #3 to '__index' (%s expected, got %s)"):format(wanted, type(key)), 3)
  end
end

-- A table that is called for all and indexed for one of them.
local function view(members, all)
  return setmetatable(members, {
    __call = all,
    __index = function(_, key)
      check(key, 'string')
      return all()[key]
    end,
  })
end

local thread = setmetatable({}, {
  __call = threads,
  __index = function(_, number)
    check(number, 'number')
    number = tonumber(number)
    local list = number < shared.header.serving and rows_of(number) or {}
    return #list > 0 and network(list) or nil
  end,
})

local function no_vinyl()
  return {
    tx = {
      conflict = 0, commit = 0, rollback = 0, statements = 0, transactions = 0, gap_locks = 0,
      read_views = 0,
    },
    regulator = {dump_bandwidth = 0, rate_limit = 0, dump_watermark = 0, write_rate = 0},
    memory = {tuple_cache = 0, tx = 0, level0 = 0, page_index = 0, bloom_filter = 0},
    disk = {data_compacted = 0, data = 0, index = 0},
    scheduler = {
      dump_time = 0, tasks_inprogress = 0, dump_output = 0, compaction_queue = 0,
      compaction_output = 0, compaction_time = 0, dump_count = 0, tasks_failed = 0,
      tasks_completed = 0, dump_input = 0, compaction_input = 0,
    },
  }
end

local function no_sql()
  return {sql_xfer_count = 0, sql_sort_count = 0, sql_search_count = 0, sql_found_count = 0}
end

return view({
  net = view({thread = thread}, function() return network(everybody()) end),
  reset = function() rates.reset() end,
  vinyl = no_vinyl,
  sql = no_sql,
}, operations)
