-- box.session.new(opts): a session on a descriptor that the application has.
--
--   type      'binary', the only kind there is
--   fd        the descriptor; it is the session's from now on, and its number is free again
--   user      whose session it is, guest unless given
--   storage   the table that is the session's box.session.storage
--
-- Returns nothing; on_connect and the greeting follow like those of any other connection. A
-- descriptor that is no socket is noticed then: on_connect runs without an address, and the session
-- ends. Another user than guest and the caller's own may be given by admin and role super only.

local access = require('beespace.engine.access')
local adoption = require('beespace.engine.adoption')
local catalog = require('beespace.engine.catalog')
local complaints = require('beespace.engine.complaints')
local errors = require('beespace.box.error')
local fibers = require('beespace.engine.fibers')
local logins = require('beespace.engine.logins')
local output = require('beespace.engine.output')
local reply = require('beespace.engine.reply')
local session = require('beespace.box.session')
local sessions = require('beespace.engine.sessions')
local shared = require('beespace.engine.table')
local state = require('beespace.engine.state')
local tallies = require('beespace.engine.tallies')

local error, pairs, pcall, tonumber = error, pairs, pcall, tonumber
local tostring, type = tostring, type
local storages = getmetatable(session).aggregate_storage
local suspend = fibers.suspend_quietly
local cur, GUEST = state.cur, state.GUEST

-- Seconds between two tries while the acceptor does not read, and how long it is tried.
local PAUSE, PATIENCE = 0.002, 2
local TYPES = {type = 'string', fd = 'number', user = 'string', storage = 'table'}

-- The largest number that a descriptor can have.
local MAX_FD = 2147483647

local function refuse(text, ...)
  error(errors.client('ILLEGAL_PARAMS', text:format(...)))
end

local function check(opts)
  if type(opts) ~= 'table' then
    refuse('options should be a table')
  end
  for key, value in pairs(opts) do
    local expected = TYPES[key]
    if expected == nil then
      refuse("unexpected option '%s'", tostring(key))
    elseif type(value) ~= expected then
      refuse("options parameter '%s' should be of type %s", key, expected)
    end
  end
  if opts.type ~= nil and opts.type ~= 'binary' then
    refuse("invalid session type '%s', the only supported type is 'binary'", opts.type)
  elseif opts.fd == nil then
    refuse("options parameter 'fd' is mandatory")
  elseif not (opts.fd >= 0 and opts.fd <= MAX_FD) or opts.fd % 1 ~= 0 then
    refuse("options parameter 'fd' must be nonnegative integer")
  elseif adoption.is_taken(opts.fd) then
    refuse("options parameter 'fd' is in use by the server itself")
  end
end

-- Number of the user that the session shall have.
local function user_of(name)
  if name == nil then
    return GUEST
  end
  catalog.refresh()
  local found = catalog.by_name[name]
  if found ~= nil and found.kind ~= 'user' then
    found = nil
  end
  -- Who may not be another user is not told which there are.
  local own = found ~= nil and (found.id == GUEST or found.id == cur.euid)
  if not own and not access.is_super(cur.euid) then
    access.denied('Session', 'user', name)
  elseif found == nil then
    error(errors.client('NO_SUCH_USER', name))
  end
  access.check_session(found.id)
  return found.id
end

-- The last words to a session whose user has had others meanwhile.
local function turn_away(id, raised)
  local slot = shared.slots[id % shared.capacity]
  if slot.id == id and shared.is_open(slot) then
    local fd = tonumber(slot.fd)
    complaints.closing(id, shared.peer(id) or '?', errors.describe(raised))
    output.later(fd, state.output, reply.fail(state.output, 0, 0, raised))
    sessions.linger(fd, shared.reason.LIMIT)
  end
end

-- The user of a session that comes back: guest when the one it was to have may have no more.
function adoption.opened(id, uid, storage)
  storages[id] = storage
  local ok, raised = pcall(tallies.move, shared.slots[id % shared.capacity], uid)
  if not ok then
    fibers.start(turn_away, id, raised)
    return GUEST
  end
  logins.note(id, uid)
  return uid
end

-- Raise when the table is full; the acceptor refuses all the same what others take meanwhile.
local function check_room()
  local live, most = shared.population()
  if live >= most then
    error(errors.client('SYSTEM', ('session limit reached: %d of %d sessions are in use')
      :format(live, most)))
  end
end

-- See the head of this file.
function session.new(opts)
  check(opts)
  local uid = user_of(opts.user)
  check_room()
  tallies.check(nil, uid)
  local deadline = fibers.clock() + PATIENCE
  while not adoption.offer(opts.fd, uid, opts.storage) do
    if fibers.clock() >= deadline or not fibers.may_wait() then
      error(errors.client('SYSTEM', 'too many new sessions at a time'))
    end
    suspend(PAUSE)
  end
end

return session
