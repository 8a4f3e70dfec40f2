-- Console sessions: one fiber for each, which greets, reads, executes and answers.
--
--   intake --> on_connect, on_auth --> greeting
--                                         |
--   loop: receive() --> bytes wait --> next statement --> engine/console runs it --> answer queued
--                                         ^                                              |
--                                         `------------- the client has read it <--------'
--   end of the stream, \quit, ~. --> what is queued is sent, then the end; on_disconnect
--
-- While a statement runs, and while its answer waits, nothing more is read from the client. Its
-- session stays in the table until the statement has ended, also when the client has left: then
-- nothing else is executed for it.

local ffi = require('ffi')
local catalog = require('beespace.engine.catalog')
local console = require('beespace.engine.console')
local const = require('beespace.engine.const')
local fibers = require('beespace.engine.fibers')
local flight = require('beespace.engine.flight')
local garbage = require('beespace.engine.garbage')
local input = require('beespace.engine.input')
local intake = require('beespace.engine.intake')
local output = require('beespace.engine.output')
local push = require('beespace.box.push')
local sessions = require('beespace.engine.sessions')
local shared = require('beespace.engine.table')
local slow = require('beespace.engine.slow')
local state = require('beespace.engine.state')
local statements = require('beespace.engine.statements')
local stopping = require('beespace.engine.stopping')
local user = require('beespace.engine.user')
local visits = require('beespace.engine.visits')
local witness = require('beespace.engine.witness')

local cast, pcall, setmetatable = ffi.cast, pcall, setmetatable
local bytes_p = ffi.typeof('const uint8_t *')
local reasons = shared.reason
local st, cur, ADMIN = state.st, state.cur, state.ADMIN
local LF = 10
local LEAVE = '~.'
-- Seconds that statements which are there already may follow each other without a pause.
local SLICE = 0.002
local FOREVER = math.huge

local consoles = {}

-- {id =, fd =, reader =, console =, record =, ended =, waiting =, busy =} by session id. While one
-- is busy its socket is not read; the poll set is told so when it says that something is there.
local by_id = {}

local LINE = const.GREETING_SIZE / 2 - 1
local GREETING = ('%s\n%s\n'):format(
  ('Tarantool %s (Lua console)'):format(const.GREETING_VERSION) .. (' '):rep(LINE),
  "type 'help' for interactive help" .. (' '):rep(LINE)
):gsub('[^\n]+', function(line) return line:sub(1, LINE) end)

local function is_here(one)
  return sessions.all[one.fd].id == one.id
end

-- Let the console's fiber wait until it is woken by wake().
local function wait(one)
  one.waiting = true
  fibers.suspend_quietly()
  one.waiting = false
end

local function wake(one)
  if one ~= nil and one.waiting then
    fibers.wake(one.record)
  end
end

-- Reading -----------------------------------------------------------------------------------------

local function fail(one, text)
  output.later(one.fd, cast(bytes_p, text), #text)
  sessions.linger(one.fd, reasons.ERROR)
end

-- Keep what was received; whether the console's fiber has something to do.
local function keep(one, received)
  local session = sessions.all[one.fd]
  if not statements.append(one.reader, session, state.input, received) then
    sessions.close(one.fd, reasons.LIMIT)
    return false
  end
  one.line, one.ending = statements.next(one.reader, session, one.console.delimiter)
  if one.line == nil and statements.waiting(one.reader, session) > st.max_packet then
    fail(one, console.failure(one.console, ('a statement is longer than %d bytes, which is '
      .. 'iproto.max_packet_size'):format(st.max_packet)))
    return false
  end
  return one.line ~= nil
end

-- Read from a console's socket.
function consoles.receive(fd)
  local one = by_id[sessions.all[fd].id]
  if one.busy then
    output.throttle(fd, true)
    return
  end
  local received = input.read(fd)
  local ready = false
  if received > 0 then
    ready = keep(one, received)
  elseif received == 0 then
    one.ended = true
    ready = true
  end
  if ready then
    one.busy = true
    wake(one)
  end
end

-- The statement that is there already, and the byte that ended it.
local function next_here(one)
  local line, ending = one.line, one.ending
  if line ~= nil then
    one.line, one.ending = nil, nil
    return line, ending
  end
  local session, delimiter = sessions.all[one.fd], one.console.delimiter
  line, ending = statements.next(one.reader, session, delimiter)
  if line == nil and one.ended then
    line = statements.rest(one.reader, session, delimiter)
  end
  return line, ending
end

-- The next statement, and the byte that ended it; nil at the end of the stream, and when the
-- session or its fiber is to end.
local function read(one)
  while is_here(one) and not one.record.cancelled do
    local line, ending = next_here(one)
    if line ~= nil or one.ended then
      return line, ending
    end
    one.busy = false
    output.throttle(one.fd, false)
    wait(one)
  end
  return nil
end

-- Answering ---------------------------------------------------------------------------------------

-- Queue a text for the client, and wait while it has too much to read already.
local function write(one, text)
  output.later(one.fd, cast(bytes_p, text), #text)
  while is_here(one) and output.is_full(one.fd) and not one.record.cancelled do
    wait(one)
  end
end

local function count(one)
  local slot, row = shared.slots[one.id % shared.capacity], shared.row
  slot.requests = slot.requests + 1
  row.requests = row.requests + 1
  row.evals = row.evals + 1
end

local function refresh_and_run(its_console, line)
  catalog.refresh()
  return console.run(its_console, line)
end

-- The statement that runs was cancelled, see engine/closing: the console is not.
local function recover(record)
  if record.interrupted then
    record.interrupted = nil
    record.cancelled = stopping.begun()
  end
end

-- Run one statement: the text of its answer, nil when the console shall end without one.
local function execute(one, line)
  count(one)
  flight.began(one.fd)
  state.says(one.id, line)
  one.record.session = one.id
  local begun = slow.now()
  local ok, text = pcall(refresh_and_run, one.console, line)
  slow.statement(line, begun)
  witness.statement(line, begun)
  one.record.session = nil
  state.says(one.id, nil)
  flight.ended(one.id, one.fd)
  recover(one.record)
  if ok then
    return text
  end
  return console.failure(one.console, text)
end

-- Execute one statement and send its answer; whether the console goes on. The text is a variable of
-- this function alone: another one's stack would keep it while the next statement is awaited.
local function answer(one, line)
  local text = execute(one, line)
  if text == nil or not is_here(one) then
    return false
  end
  write(one, text)
  garbage.left(#text)
  return true
end

-- Execute what comes until the console ends.
local function converse(one)
  local begun = fibers.clock()
  local line, ending = read(one)
  while line ~= nil do
    if line == LEAVE and ending == LF and one.console.delimiter == '' then
      return
    end
    if not answer(one, line) then
      return
    end
    if fibers.clock() - begun > SLICE then
      fibers.suspend_quietly(0)
      begun = fibers.clock()
    end
    line, ending = read(one)
  end
end

-- Why a console ends whose client is still there.
local function why(one)
  if not one.record.cancelled then
    return reasons.CLIENT
  end
  return stopping.begun() and reasons.SHUTDOWN or reasons.KILLED
end

-- The fiber of one console.
local function serve(one)
  local id, fd = one.id, one.fd
  user.enter(fd)
  one.record.session, one.record.arriving = id, true
  local ok, raised = visits.hear(id)
  one.record.session, one.record.arriving = nil, nil
  if not ok then
    visits.refuse(id, fd, raised)
  elseif visits.admit(id, fd) then
    write(one, GREETING)
    converse(one)
    if is_here(one) then
      sessions.linger(fd, why(one), FOREVER)
    end
  end
  by_id[id] = nil
  user.leave()
end

-- A connection over a console listener is a session now.
function intake.console(id, fd)
  visits.begin(id, fd)
  local one = {id = id, fd = fd, reader = statements.new(), console = console.new(true)}
  local record = fibers.start(serve, one)
  record.name, record.euid = 'console/' .. (shared.peer(id) or ''), ADMIN
  record.console = one.console
  -- Code that asks whether it runs in a console looks for this.
  record.storage = {console = setmetatable({}, {__index = one.console})}
  one.record = record
  by_id[id] = one
end

local left = sessions.left
function sessions.left(id)
  left(id)
  wake(by_id[id])
end

local relieved = output.relieved
function output.relieved(fd)
  relieved(fd)
  wake(by_id[sessions.all[fd].id])
end

-- Pushing -----------------------------------------------------------------------------------------

-- Send a value to the client of the running console before its answer. Raises what cannot be
-- written.
function push.to_console(value)
  local text = console.push(fibers.current().console, value)
  output.later(cur.fd, cast(bytes_p, text), #text)
  garbage.left(#text)
end

return consoles
