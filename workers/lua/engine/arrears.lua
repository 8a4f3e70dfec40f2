-- Room in inboxes that a sender had reserved when it died, before its messages had left.
--
--   hello    a new process of a row has begun: all that its last one sent has come, and what it had
--            only reserved never will. Sessions that messages are under way to begin a new phase,
--            and their bytes are written down
--   mark     goes to every worker, which answers behind everything it sent before (marked)
--   came     messages of the earlier phase are crossed off
--
-- Once every worker has answered, or its own successor has said hello, or its row is free, what is
-- left belonged to the dead: it is given back, so that the limit of an inbox stays exact. One round
-- at a time.

local bus = require('beespace.engine.bus')
local inbox = require('beespace.engine.inbox')
local sessions = require('beespace.engine.sessions')
local shared = require('beespace.engine.table')
local sys = require('beespace.engine.sys')

local next, pairs, tostring = next, pairs, tostring
local HELLO, MARK, MARKED = bus.KIND.HELLO, bus.KIND.MARK, bus.KIND.MARKED

local arrears = {}

-- The running round: bytes that have not come, by session, and workers that have not answered; nil
-- when there is none. Rounds of another process of this row have other numbers.
local missing, unanswered
local round = sys.C.getpid() * 16777216
-- Whether somebody said hello since the round began.
local once_more = false

local function write_down(id, slot)
  local bytes = inbox.begin_phase(id, slot)
  if bytes > 0 then
    missing[id] = bytes
  end
end

-- Ask every worker, this one too; false when one of them does not keep up.
local function ask()
  for worker = 0, bus.count - 1 do
    if shared.is_used(worker) then
      unanswered[worker] = true
      if not bus.send(worker, MARK, tostring(round)) then
        return false
      end
    end
  end
  return true
end

local function begin()
  round = round + 1
  missing, unanswered, once_more = {}, {}, false
  sessions.each(write_down)
  if next(missing) == nil or not ask() then
    missing, unanswered = nil, nil
  end
end

local function answered(worker)
  unanswered[worker] = nil
  if next(unanswered) ~= nil then
    return
  end
  for id, bytes in pairs(missing) do
    if bytes > 0 then
      inbox.give_back(id, bytes)
    end
  end
  missing, unanswered = nil, nil
  if once_more then
    begin()
  end
end

bus.on(HELLO, function(_, from)
  if missing == nil then
    begin()
  else
    once_more = true
    answered(from)
  end
end)

bus.on(MARK, function(payload, from)
  bus.send(from, MARKED, payload)
end)

bus.on(MARKED, function(payload, from)
  if missing ~= nil and payload == tostring(round) then
    answered(from)
  end
end)

-- A worker whose row is free by now answers no more.
function arrears.tick()
  for worker in pairs(unanswered or {}) do
    if not shared.is_used(worker) then
      answered(worker)
      return
    end
  end
end

function inbox.came_late(id, bytes)
  if missing ~= nil and missing[id] ~= nil then
    missing[id] = missing[id] - bytes
  end
end

-- Tell the other workers that this process has begun.
function arrears.say_hello()
  bus.broadcast(HELLO, '')
end

return arrears
