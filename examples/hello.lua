-- The first application: what `make serve` runs.
--
-- Every worker runs this file once, before it takes sessions. Global functions can be called by any
-- client; box.session speaks of the client that calls.

local log = require('log')

-- Whoever connects is the user guest, who may do nothing at first. This example lets everybody call
-- and evaluate everything, since it listens on this machine only; the right stays in the data
-- directory until it is revoked. An application that others reach grants what it offers:
-- grant('guest', 'execute', 'lua_call', 'hello').
box.schema.user.grant('guest', 'execute', 'universe', nil, {if_not_exists = true})

-- Greets the caller and says which worker answers.
function hello(name)
  local worker = box.info.worker
  return ('Hello, %s! You are session %d at %s, served by worker %d of %d.'):format(
    name or 'stranger', session.id(), session.peer(), worker.id, worker.count)
end

-- Counts the calls of one session: storage belongs to the session and is gone with it.
function visits()
  session.storage.visits = (session.storage.visits or 0) + 1
  return session.storage.visits
end

-- What this worker, whichever it is, knows of any session of the server.
function who(id)
  return {
    id = id,
    exists = session.exists(id),
    peer = session.peer(id),
    asked_on_worker = box.info.worker.id,
  }
end

log.info('hello.lua is loaded')
