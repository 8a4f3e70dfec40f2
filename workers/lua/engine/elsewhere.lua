-- Statements of a console that other workers execute: \set worker N, \set worker all.
--
--   the console's worker             --errand: statement, format, session id-->   another worker
--     waits for it, however long     <--text in the console's format, or results--   its fiber
--     labels them when all answered
--                                    <--errand: a push-------------------------
--
-- Over there the statement sees the console's session: id, peer, type, user. Its storage is another
-- one in every worker; there it goes within a second after the session has ended.

local ffi = require('ffi')
local bus = require('beespace.engine.bus')
local catalog = require('beespace.engine.catalog')
local console = require('beespace.engine.console')
local errand = require('beespace.engine.errand')
local errors = require('beespace.box.error')
local fibers = require('beespace.engine.fibers')
local lua_output = require('beespace.engine.lua_output')
local output = require('beespace.engine.output')
local push = require('beespace.box.push')
local sessions = require('beespace.engine.sessions')
local shared = require('beespace.engine.table')
local state = require('beespace.engine.state')
local yaml = require('beespace.engine.yaml')

local ipairs, pairs, pcall, tonumber = ipairs, pairs, pcall, tonumber
local bytes_p = ffi.typeof('const uint8_t *')
local clock, cur = fibers.clock, state.cur
local STATEMENT, PUSH = 'console', 'push'
-- A statement may take as long as it likes.
local NEVER = math.huge
-- Seconds that a worker which is being started is waited for, and between two looks at it.
local PATIENCE, LOOK = 1, 0.02

local elsewhere = {}

-- Sessions of other workers for which statements ran here, by id.
local visitors = {}

-- Over there --------------------------------------------------------------------------------------

-- What becomes of the results when they are to be put together with those of other workers.
local function part(format)
  local write = yaml.stream
  if format.fmt == 'lua' then
    local open_ended = {fmt = format.fmt, opt = format.opt, eos = ''}
    write = function(...)
      return lua_output.answer(open_ended, ...)
    end
  end
  return function(...)
    local ok, text = pcall(write, ...)
    return ok and text or write(false, console.unwritable(format, text))
  end
end

local function whole(its_console)
  return function(...)
    return console.answer(its_console, ...)
  end
end

local function said(id, ...)
  state.says(id, nil)
  return ...
end

-- Run a statement for the console session `id`, which is another worker's.
errand.kinds[STATEMENT] = function(line, id, format, is_part)
  catalog.refresh()
  local record, its_console = fibers.current(), console.new(false)
  its_console.format = format
  record.console, record.visit = its_console, id
  visitors[id] = true
  cur.id = id
  local slot = shared.slots[id % shared.capacity]
  if slot.id == id then
    cur.uid, cur.euid = tonumber(slot.uid), tonumber(slot.uid)
  end
  local receive = is_part and part(format) or whole(its_console)
  state.says(id, line)
  return said(id, receive(console.evaluate(line)))
end

-- Forget what sessions that have ended left here.
function elsewhere.tick()
  for id in pairs(visitors) do
    if not shared.exists(id) then
      visitors[id] = nil
      sessions.ended(id)
    end
  end
end

-- Send a value to the client of the console for which the running code works.
function push.from_elsewhere(value)
  local record, id = fibers.current(), cur.id
  local text = console.push(record.console, value)
  local owner = shared.slots[id % shared.capacity].worker
  local ticket = errand.ask(owner, PUSH, text, {id}, 1)
  if ticket == nil then
    return nil, errors.client('PROC_LUA', ('worker %d does not keep up'):format(owner))
  end
  local ok, sent = errand.collect(ticket, NEVER)
  if ok and sent[1] then
    return true
  end
  return nil, errors.client('SESSION_CLOSED')
end

errand.kinds[PUSH] = function(text, id)
  local slot = shared.slots[id % shared.capacity]
  if slot.id ~= id or slot.worker ~= bus.index or not shared.is_open(slot) then
    return false
  end
  output.later(tonumber(slot.fd), ffi.cast(bytes_p, text), #text)
  return true
end

-- Here --------------------------------------------------------------------------------------------

-- Wait until `due` for a worker that is being started; whether it is there.
local function await(worker, due)
  while errand.is_coming(worker) and clock() < due do
    fibers.suspend_quietly(LOOK)
    fibers.check()
  end
  return errand.is_there(worker)
end

-- Let another worker run a statement; a ticket, or nil and why not.
local function send(its_console, worker, line, is_part, due)
  if not await(worker, due) then
    return nil, 'it is not there'
  end
  local ticket = errand.ask(worker, STATEMENT, line, {cur.id, its_console.format, is_part}, 3)
  if ticket == nil then
    return nil, 'it does not keep up'
  end
  return ticket
end

-- What a worker answered: true and the text, or false and the reason why there is none.
local function receive(ticket, reason)
  if ticket == nil then
    return false, reason
  end
  local ok, values, text = errand.collect(ticket, NEVER)
  if ok then
    return true, values[1]
  end
  return false, text
end

local function label(worker)
  local row = shared.rows[worker]
  return ('%sworker %d'):format(row.on_duty == 1 and '' or 'old ', row.number)
end

local function on_one(its_console, line, number)
  local worker = shared.row_of(number)
  if worker == nil then
    return console.failure(its_console, ('worker %d: it is not there'):format(number))
  elseif worker == bus.index then
    return console.answer(its_console, console.evaluate(line))
  end
  local ok, text = receive(send(its_console, worker, line, false, clock() + PATIENCE))
  if ok then
    return text
  end
  return console.failure(its_console, label(worker) .. ': ' .. text)
end

local function join(format, parts)
  if format.fmt ~= 'lua' then
    return yaml.labelled(parts)
  end
  local texts = {}
  for index = 1, #parts do
    texts[index] = ('["%s"] = {%s}'):format(parts[index].label, parts[index].stream)
  end
  return '{' .. table.concat(texts, ', ') .. '};'
end

local function on_all(its_console, line)
  local format, tickets, reasons, parts = its_console.format, {}, {}, {}
  local take, workers, due = part(format), shared.crew(), clock() + PATIENCE
  for _, worker in ipairs(workers) do
    if worker ~= bus.index then
      tickets[worker], reasons[worker] = send(its_console, worker, line, true, due)
    end
  end
  local own = take(console.evaluate(line))
  for place, worker in ipairs(workers) do
    local ok, stream = true, own
    if worker ~= bus.index then
      ok, stream = receive(tickets[worker], reasons[worker])
    end
    parts[place] = {label = label(worker), stream = ok and stream or take(false, stream)}
  end
  return join(format, parts)
end

-- The answer of a statement that the console's target executes.
function console.elsewhere(its_console, line)
  local target = its_console.target
  if target == 'all' then
    return on_all(its_console, line)
  end
  return on_one(its_console, line, target)
end

return elsewhere
