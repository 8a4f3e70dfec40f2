-- The answer of a request that ran application code: now, or late.
--
-- Called by engine/request and engine/handlers with what the code returned, and by the loop with
-- what it raised. A request that never waited is answered where the loop is, in the shared output
-- at st.w, and the end of the answer is returned. One that has waited (st.away) lost the loop: no
-- batch is open when it ends, so the shared output is free; the answer is queued for its session,
-- and LOST is returned.
--
-- Functions with a variable number of arguments leave by a tail call: while one is on the stack,
-- LuaJIT gives up every trace that begins in a loop of the encoder and returns to the request.

local complaints = require('beespace.engine.complaints')
local decode = require('beespace.engine.decode')
local encode = require('beespace.engine.encode')
local errors = require('beespace.box.error')
local flight = require('beespace.engine.flight')
local legacy = require('beespace.engine.legacy')
local output = require('beespace.engine.output')
local reply = require('beespace.engine.reply')
local sessions = require('beespace.engine.sessions')
local shared = require('beespace.engine.table')
local state = require('beespace.engine.state')

local pcall, select = pcall, select
local begin, finish, results = reply.begin, reply.finish, reply.results
local st, cur, o = state.st, state.cur, state.output

local LOST = -1

local answer = {LOST = LOST}

-- Write DATA with `write` for the client of a request that has waited.
local function late(write, ...)
  if sessions.has_client() then
    local fd = cur.fd
    encode.settings.error_ext = sessions.all[fd].error_ext
    output.later(fd, o, finish(o, 0, write(o, begin(o, 0, st.sync), ...)))
  end
  flight.release()
  return LOST
end

local function write_results(_, w, ...)
  return results(o, w, select('#', ...), ...)
end

-- Answer CALL and EVAL with the returned values: head and body at st.w, to be finished there.
function answer.results(...)
  if st.away ~= 0 then
    return late(write_results, ...)
  end
  return results(o, begin(o, st.w, st.sync), select('#', ...), ...)
end

-- The same for CALL_16.
function answer.legacy(...)
  if st.away ~= 0 then
    return late(legacy.results, ...)
  end
  return legacy.results(o, begin(o, st.w, st.sync), ...)
end

local function write_nothing(_, w)
  o[w] = 0x80
  return w + 1
end

-- Answer with an empty body; the end of the answer, or LOST.
function answer.empty()
  if st.away ~= 0 then
    return late(write_nothing)
  end
  return finish(o, st.w, write_nothing(o, begin(o, st.w, st.sync)))
end

-- End a request that answered by itself.
function answer.nothing()
  if st.away == 0 then
    return st.w
  end
  flight.release()
  return LOST
end

-- Write an error answer at o+start; its end.
local function write_error(start, raised)
  if raised == decode.BAD then
    st.bad = st.bad + 1
    complaints.about('packet body')
    raised = errors.client('INVALID_MSGPACK', 'packet body')
  end
  local asking = encode.settings.asking
  encode.settings.asking = 1
  local ok, w = pcall(reply.fail, o, start, st.sync, raised)
  if not ok then
    w = reply.fail(o, start, st.sync, w)
  end
  encode.settings.asking = asking
  return w
end

-- Answer the request that the loop executes with what was raised; the end of the answer.
function answer.fail(raised)
  return write_error(st.w, raised)
end

-- Tell the client on `fd` what was raised, with the sync of the running code. No batch is open.
function answer.tell(fd, raised)
  encode.settings.error_ext = sessions.all[fd].error_ext
  output.later(fd, o, write_error(0, raised))
end

-- Answer a request that has waited with what was raised.
function answer.fail_late(raised)
  shared.row.errors = shared.row.errors + 1
  if sessions.has_client() then
    answer.tell(cur.fd, raised)
  end
  flight.release()
end
flight.fail = answer.fail_late

return answer
