-- What runs when a client comes and when it leaves: on_connect, on_disconnect.
--
--   intake --> welcome(): not read yet --> a fiber: on_connect --> greeting, and it is read
--                                                       `- failed --> greeting, error, the end
--   engine/consoles --> begin(), hear(), then admit() or refuse(), in the console's own fiber
--   sessions.close --> farewell(): socket closed, slot kept --> a fiber: on_disconnect
--                                                       slot CLOSING, then freed
--
-- At the end of the server an on_connect that still waits is cancelled, which is a failure like any
-- other, and the session ends because of the shutdown unless its client had left before.
--
-- Both see the session: id, peer, user, storage; their effective user is admin, and they may wait.
-- on_disconnect runs once for every session that was opened, after its on_connect when that still
-- runs, and beside requests that still wait; when the worker dies, elsewhere, for those whose
-- on_connect had begun. Sessions of the control socket skip both, so that
-- there is a way in when on_connect always fails. Without such functions nothing of this happens.

local answer = require('beespace.engine.answer')
local complaints = require('beespace.engine.complaints')
local errors = require('beespace.box.error')
local fibers = require('beespace.engine.fibers')
local intake = require('beespace.engine.intake')
local log = require('log')
local output = require('beespace.engine.output')
local sessions = require('beespace.engine.sessions')
local shared = require('beespace.engine.table')
local state = require('beespace.engine.state')
local stopping = require('beespace.engine.stopping')
local sys = require('beespace.engine.sys')
local triggers = require('beespace.engine.triggers')
local user = require('beespace.engine.user')

local next, pcall, tonumber = next, pcall, tonumber
local count, run_all = triggers.count, triggers.run
local cur, ADMIN = state.cur, state.ADMIN
local ON_CONNECT, ON_DISCONNECT = 'box.session.on_connect', 'box.session.on_disconnect'
local ON_AUTH, ADMIN_NAME = 'box.session.on_auth', 'admin'
-- What is known of a session whose on_connect runs.
local HERE, GONE = 1, 2

local visits = {}

-- HERE or GONE by the ids of sessions whose on_connect runs.
local arriving = {}
-- Sessions whose on_disconnect is to run, or runs.
local departing = 0
-- The console that is closed because on_connect or on_auth failed.
local refused = 0

local function slot_of(id)
  return shared.slots[id % shared.capacity]
end

-- Run the functions of an event for the session `id`, which is on `fd` or, with -1, has left; what
-- pcall returns.
local function run(event, id, fd)
  user.begin(tonumber(slot_of(id).uid))
  cur.id, cur.fd = id, fd
  return pcall(user.as, ADMIN, run_all, event)
end

local function say_farewell(id)
  local slot = slot_of(id)
  slot.state = shared.CLOSING
  local ok, raised = run(ON_DISCONNECT, id, -1)
  if not ok and not stopping.is_known(raised) then
    log.error('on_disconnect of %s failed: %s', shared.peer(id) or '?', errors.describe(raised))
  end
  user.leave()
  departing = departing - 1
  sessions.forget(id)
  stopping.look()
end

-- Run on_disconnect in a fiber of its own: that of an on_connect may be cancelled.
local function depart(id)
  local record = fibers.start(say_farewell, id)
  record.euid, record.parting = ADMIN, true
end

-- Why the session on `fd` ends when its on_connect has failed.
local function why_refused(fd)
  if not stopping.cancelled() then
    return shared.reason.REFUSED
  end
  -- Nobody has noticed yet that a client left which was not read.
  return sys.is_ended(fd) and shared.reason.CLIENT or shared.reason.SHUTDOWN
end

-- The session begins: its client is not read before its functions have run. When this process dies
-- before they begin, on_disconnect does not run either.
function visits.begin(id, fd)
  slot_of(id).opened = 0
  output.keep_out(fd)
  arriving[id] = HERE
end

-- From now on on_disconnect follows, whatever happens.
local function begin_functions(id)
  slot_of(id).opened = sessions.hundredths()
end

-- The functions of the session `id` have run; whether its client is still there. When it has left,
-- on_disconnect follows.
local function settle(id)
  local gone = arriving[id] == GONE
  arriving[id] = nil
  if gone then
    depart(id)
  end
  stopping.look()
  return not gone
end

-- The client of the running console is there, and read from now on; false when it has left.
function visits.admit(id, fd)
  if not settle(id) then
    return false
  end
  output.admit(fd)
  return true
end

-- The running console, whose functions raised this, ends without a word and without on_disconnect.
function visits.refuse(id, fd, raised)
  complaints.refusal(shared.peer(id) or '?', errors.describe(raised))
  local gone = arriving[id] == GONE
  arriving[id] = nil
  if gone then
    departing = departing - 1
    sessions.forget(id)
  else
    refused = id
    sessions.close(fd, why_refused(fd))
    refused = 0
  end
  stopping.look()
end

-- Run the functions of on_connect and of on_auth for a console, which is admin from the start; what
-- pcall returns.
function visits.hear(id)
  begin_functions(id)
  return pcall(function()
    user.as(ADMIN, run_all, ON_CONNECT)
    user.as(ADMIN, run_all, ON_AUTH, ADMIN_NAME, true)
  end)
end

-- The client is there and is read from now on, or told why not.
local function let_in(id, fd, ok, raised)
  local why = not ok and why_refused(fd)
  output.admit(fd)
  if why == shared.reason.CLIENT then
    -- The greeting may fail, which is no reason then.
    slot_of(id).reason = why
  end
  if not intake.greet(id, fd) or ok then
    return
  end
  complaints.refusal(shared.peer(id) or '?', errors.describe(raised))
  answer.tell(fd, raised)
  sessions.linger(fd, why)
end

local function arrive(id, fd)
  local session = sessions.all[fd]
  begin_functions(id)
  local ok, raised = run(ON_CONNECT, id, session.id == id and fd or -1)
  if settle(id) then
    let_in(id, fd, ok, raised)
  end
  user.leave()
end

-- Run on_connect for the session that was opened on `fd`; the client is not read before.
function intake.welcome(id, fd)
  visits.begin(id, fd)
  local record = fibers.start(arrive, id, fd)
  record.euid, record.session, record.arriving = ADMIN, id, true
end

-- The socket of the session `id` is closed: true when its on_disconnect will run, and its slot is
-- needed until it has.
function sessions.farewell(id)
  if count(ON_DISCONNECT) == 0 and next(arriving) == nil or shared.of_control(slot_of(id))
     or id == refused then
    return false
  elseif arriving[id] ~= nil then
    arriving[id] = GONE
  elseif count(ON_DISCONNECT) == 0 then
    return false
  else
    depart(id)
  end
  departing = departing + 1
  return true
end

stopping.owe(function() return next(arriving) ~= nil end)
stopping.part(function() return departing end)
stopping.has_farewells = function() return count(ON_DISCONNECT) > 0 end

return visits
