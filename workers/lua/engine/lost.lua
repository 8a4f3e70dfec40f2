-- Sessions of dead workers: their on_disconnect runs here.
--
--   supervisor --batches--> take() --> line --> a fiber for each session, MOST at a time
--                                                 | row.lost_running + 1, then
--                                                 | row.lost_begun = its number + 1
--                                                 v
--                                               on_disconnect --> row.lost_running - 1
--
-- The session itself is gone: it is in no slot and has no storage. In its fiber cur.id and cur.uid
-- are what they were, and the address is answered from the fiber's record, which box/session asks
-- for. The supervisor gives what is not begun, by lost_begun, to another worker when this one dies;
-- by lost_running it sees whether an on_disconnect may have been what ended it.

local codec = require('beespace.engine.codec')
local errors = require('beespace.box.error')
local fibers = require('beespace.engine.fibers')
local log = require('log')
local sessions = require('beespace.engine.sessions')
local shared = require('beespace.engine.table')
local state = require('beespace.engine.state')
local stopping = require('beespace.engine.stopping')
local triggers = require('beespace.engine.triggers')
local user = require('beespace.engine.user')

local ipairs, pcall = ipairs, pcall
local as = user.as
local cur, ADMIN = state.cur, state.ADMIN
local ON_DISCONNECT = 'box.session.on_disconnect'
-- Fibers at a time; on_disconnect may wait.
local MOST = 1000

local lost = {}

local line, first, last = {}, 1, 0
-- Fibers, and those of them that have begun.
local running, begun = 0, 0

stopping.part(function() return running + last - first + 1 end)

local begin_more

local function run(each)
  begun = begun + 1
  -- In this order: what the supervisor knows to have begun it counts as running.
  shared.row.lost_running = begun
  shared.row.lost_begun = each.number + 1
  fibers.current().lost = each
  cur.id, cur.uid = each.id, each.uid
  local ok, raised = pcall(as, ADMIN, triggers.run, ON_DISCONNECT)
  if not ok and not stopping.is_known(raised) then
    log.error('on_disconnect of %s failed: %s', each.peer, errors.describe(raised))
  end
  sessions.ended(each.id)
  running, begun = running - 1, begun - 1
  shared.row.lost_running = begun
  begin_more()
  stopping.look()
end

-- Begin with those that wait in line, while there is room.
function begin_more()
  while running < MOST and first <= last do
    local each = line[first]
    line[first] = nil
    first = first + 1
    running = running + 1
    local record = fibers.start(run, each)
    record.euid, record.parting = ADMIN, true
  end
end

-- Take over what the supervisor has sent: MessagePack of {{number of the first, sessions}, ...},
-- a session being {id, uid, type, listener, peer, reason}; the reason is 0 when nobody wanted its
-- end before its worker died.
function lost.take(payload)
  for _, batch in ipairs((codec.unpack(payload))) do
    for offset, fields in ipairs(batch[2]) do
      last = last + 1
      line[last] = {
        number = batch[1] + offset - 1,
        id = fields[1],
        uid = fields[2],
        type = fields[3],
        peer = fields[5],
        reason = fields[6],
      }
    end
  end
  begin_more()
end

return lost
