-- What is known of each fiber: a record from its beginning to its end, and those that are alive.
--
-- Called by engine/fibers, which runs them, and by who looks for fibers. A record is
--
--   {status = 'running', 'ready', 'suspended' or 'dead', name =, euid =, cancelled =, switches =,
--    id =        its number, false until somebody asks for it or it waits
--    thread =    the coroutine that it has, false before and after
--    timer =, deadline =, timed_out =     engine/timers, while it waits
--    main =, arguments =                  what it shall run, until it does
--    request =, session =, homeless =, stream =, began =, kind =, text =     that of a request
--    joinable =, results =, joiners =, on_end =, storage =, console = ...}
--
-- Records of requests are made as large as they get: most of them wait, and a table that grows
-- costs as much as all else that is done to wait.

local flags = require('beespace.box.compat_flags')
local state = require('beespace.engine.state')

local select = select
local cur, ADMIN = state.cur, state.ADMIN
-- Numbers below are the system's own in Tarantool.
local FIRST_ID = 101

local records = {
  -- Fibers that are alive and have a number: by it, and how many.
  by_id = {},
  count = 0,
  -- Called with the record and the error of a fiber that failed and that nobody joins.
  failed = function(_, _) end,
}

local by_id = records.by_id
local last_id = FIRST_ID - 1

-- The number of a fiber, given at first use.
function records.id(record)
  local id = record.id
  if not id then
    last_id = last_id + 1
    id = last_id
    record.id = id
    if record.status ~= 'dead' then
      by_id[id] = record
      records.count = records.count + 1
    end
  end
  return id
end

-- That of the request whose code runs.
function records.of_request()
  return {status = 'running', name = 'main', euid = cur.euid, cancelled = false, switches = 0,
    request = true, session = cur.id, id = false, thread = false, timer = 0, deadline = 0,
    timed_out = false, homeless = false, began = false, kind = false, text = false}
end

-- That of a fiber that shall run `main` with these arguments; it has a number.
function records.of_function(main, ...)
  local record = {
    status = 'ready',
    name = 'lua',
    euid = flags.fiber_user == 1 and cur.euid or ADMIN,
    cancelled = false,
    switches = 0,
    id = false,
    thread = false,
    timer = 0,
    deadline = 0,
    timed_out = false,
    main = main,
    arguments = {n = select('#', ...), ...},
  }
  records.id(record)
  return record
end

-- A fiber is over; it can be found no more.
function records.retire(record)
  record.status = 'dead'
  if record.id and by_id[record.id] == record then
    by_id[record.id] = nil
    records.count = records.count - 1
  end
end
local retire = records.retire

-- The same, with what its function has come to, for those who wait for that.
function records.finish(record, ok, ...)
  retire(record)
  if record.joinable then
    record.results = {n = select('#', ...), ok = ok, ...}
  elseif not ok then
    records.failed(record, (...))
  end
  local hooks = record.on_end
  if hooks ~= nil then
    record.on_end = nil
    for index = 1, #hooks do
      hooks[index](record)
    end
  end
end

return records
