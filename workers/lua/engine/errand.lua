-- Errands: what one worker lets another one run (functions, sources, statements of consoles), and
-- the results.
--
--   ask(worker, kind, text, arguments)  --RPC-->        the other worker: a fiber without session
--   the caller's fiber waits            <--RPC_REPLY--  results, or code and text of the error
--
-- Values cross as MessagePack, one after the other. The fiber has the rights of the caller's
-- effective user. The caller waits until its time is over or the other worker's process is another
-- one than the one that was asked.

local bus = require('beespace.engine.bus')
local call = require('beespace.engine.call')
local catalog = require('beespace.engine.catalog')
local codec = require('beespace.engine.codec')
local encode = require('beespace.engine.encode')
local errors = require('beespace.box.error')
local fibers = require('beespace.engine.fibers')
local flags = require('beespace.box.compat_flags')
local shared = require('beespace.engine.table')
local state = require('beespace.engine.state')
local stopping = require('beespace.engine.stopping')
local sys = require('beespace.engine.sys')

local error, min, pcall, select, unpack = error, math.min, pcall, select, unpack
local FULL = encode.FULL
local pack_value, unpack_value = codec.pack_for_worker, codec.unpack
local RPC, RPC_REPLY = bus.KIND.RPC, bus.KIND.RPC_REPLY
local cur = state.cur

-- Row states of shm/states.py in which a worker reads its bus.
local READY, STOPPING, DRAINING = 2, 3, 5
-- Those in which it will.
local STARTING, DEAD = 1, 4
-- Seconds between two looks whether a worker that was asked is still the same process.
local LOOK = 0.1

local errand = {
  -- What an errand of each kind runs, called with its text and arguments. Others add to them.
  kinds = {},
}

-- Errands that were not answered yet, by number: {record =, payload =}.
local pending = {}
-- Errands that this worker does for others; the end waits for them.
local running = 0
-- No process begins with the numbers of its row's last one, whose answers may still come; all stay
-- below 1e14, from which on the codec makes no plain numbers.
local last_number = sys.C.getpid() * 16777216

local function pack_values(first, ...)
  local parts = {first, pack_value(select('#', ...))}
  for index = 1, select('#', ...) do
    parts[index + 2] = pack_value((select(index, ...)))
  end
  return table.concat(parts)
end

-- The values at payload[pos] and their number.
local function unpack_values(payload, pos)
  local values = {}
  local count
  count, pos = unpack_value(payload, pos)
  for index = 1, count do
    values[index], pos = unpack_value(payload, pos)
  end
  return values, count
end

stopping.hold(function() return running > 0 end)

-- Running -----------------------------------------------------------------------------------------

function errand.kinds.eval(text, ...)
  return call.compile(text)(...)
end

function errand.kinds.call(text, ...)
  catalog.refresh()
  local found, object = call.resolve(text)
  if object ~= nil then
    return found(object, ...)
  end
  return found(...)
end

local function reply_of(number, ok, ...)
  if ok then
    local packed
    ok, packed = pcall(pack_values, pack_value(number) .. pack_value(true), ...)
    if ok then
      return packed
    end
    return reply_of(number, false, packed)
  end
  local object = errors.from((...))
  return pack_value(number) .. pack_value(false) .. pack_value(object.code)
    .. pack_value(object.message)
end

local function run(from, number, kind, text, arguments, count)
  running = running + 1
  local reply = reply_of(number, pcall(errand.kinds[kind], text, unpack(arguments, 1, count)))
  if #reply > bus.MAX_MESSAGE then
    reply = reply_of(number, false, FULL)
  end
  bus.send(from, RPC_REPLY, reply)
  running = running - 1
  stopping.look()
end

bus.on(RPC, function(payload, from)
  local pid, number, kind, text, euid, pos
  pid, pos = unpack_value(payload)
  if pid ~= shared.row.pid then
    -- It was for the process before this one, and its sender has been told that it ended.
    return
  end
  number, pos = unpack_value(payload, pos)
  kind, pos = unpack_value(payload, pos)
  text, pos = unpack_value(payload, pos)
  euid, pos = unpack_value(payload, pos)
  local arguments, count = unpack_values(payload, pos)
  fibers.start(run, from, number, kind, text, arguments, count).euid = euid
end)

bus.on(RPC_REPLY, function(payload)
  local number = unpack_value(payload)
  local waiting = pending[number]
  if waiting ~= nil then
    pending[number] = nil
    waiting.payload = payload
    fibers.wake(waiting.record)
  end
end)

-- Asking ------------------------------------------------------------------------------------------

-- Whether a worker reads its bus; its own is read by who asks.
function errand.is_there(worker)
  local row_state = shared.rows[worker].state
  return worker == bus.index or row_state == READY or row_state == STOPPING
    or row_state == DRAINING
end

-- Whether a worker is being started, for the first time or again.
function errand.is_coming(worker)
  local row_state = shared.rows[worker].state
  return row_state == STARTING or row_state == DEAD
end

-- Let a worker run a function ('call'), a source ('eval') or what else has a kind; a ticket for
-- collect(). `arguments` is a list of `count` values. Raises what cannot be packed, and where
-- nothing can wait; nil when the worker does not keep up.
function errand.ask(worker, kind, text, arguments, count)
  if not fibers.may_wait() then
    error(fibers.CANNOT_YIELD, 0)
  end
  last_number = last_number + 1
  local euid = flags.fiber_user == 1 and cur.euid or state.ADMIN
  local pid = shared.rows[worker].pid
  local ticket = {number = last_number, worker = worker, pid = pid, record = fibers.current()}
  local head = pack_value(pid) .. pack_value(last_number) .. pack_value(kind) .. pack_value(text)
    .. pack_value(euid)
  if not bus.send(worker, RPC, pack_values(head, unpack(arguments, 1, count))) then
    return nil
  end
  pending[last_number] = ticket
  return ticket
end

local function wait(ticket, deadline)
  local left = deadline - fibers.clock()
  while ticket.payload == nil and left > 0 and shared.rows[ticket.worker].pid == ticket.pid do
    fibers.suspend_quietly(min(left, LOOK))
    fibers.check()
    left = deadline - fibers.clock()
  end
end

-- Forget an errand whose answer nobody waits for any more.
function errand.forget(ticket)
  pending[ticket.number] = nil
end

-- Wait for the answer of an errand until `deadline` (see engine/fibers, clock): true, the values
-- and their number; or false, a code and a text. Raises when the fiber is cancelled or cannot wait.
function errand.collect(ticket, deadline)
  local ok, raised = pcall(wait, ticket, deadline)
  errand.forget(ticket)
  local payload = ticket.payload
  if payload ~= nil then
    local _, pos = unpack_value(payload)
    local succeeded
    succeeded, pos = unpack_value(payload, pos)
    if succeeded then
      return true, unpack_values(payload, pos)
    end
    local code
    code, pos = unpack_value(payload, pos)
    return false, code, (unpack_value(payload, pos))
  elseif not ok then
    error(raised, 0)
  elseif shared.rows[ticket.worker].pid ~= ticket.pid then
    return false, 77, 'the worker has ended'
  end
  return false, 78, 'Timeout exceeded'
end

return errand
