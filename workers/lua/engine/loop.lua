-- The loop: one flat, endless loop that takes exactly one step a turn.
--
--   a whole packet in the input?  execute it, its answer goes behind the others
--   else a batch was open?        flush its answers, keep the rest of its input
--   connections came?             open the next one
--   messages of other workers?    deliver the next one
--   then the next event: receive a session's input, or attend to a channel
--   no event left:                send messages to other workers, wait
--
-- The shape is what makes it fast: no loop inside it that usually runs once, no pcall and no
-- closure a request, all state in one structure. LuaJIT makes one root trace of it, and every
-- other way through it links back to its head. An error leaves the loop; guard() answers the
-- request it belongs to and enters again behind it.
--
-- The loop runs in a coroutine. When the request that it executes begins to wait, this coroutine is
-- the request's, and another one enters the loop behind it (engine/fibers). Before it waits for
-- events the loop lets fibers run that are ready, and sends what they answered.

local ffi = require('ffi')
local answer = require('beespace.engine.answer')
local bridge = require('beespace.bridge')
local bus = require('beespace.engine.bus')
local channels = require('beespace.engine.channels')
local chores = require('beespace.engine.chores')
local complaints = require('beespace.engine.complaints')
local consoles = require('beespace.engine.consoles')
local decode = require('beespace.engine.decode')
local encode = require('beespace.engine.encode')
local errors = require('beespace.box.error')
local fibers = require('beespace.engine.fibers')
local figures = require('beespace.engine.figures')
local flight = require('beespace.engine.flight')
local framing = require('beespace.engine.framing')
local input = require('beespace.engine.input')
local intake = require('beespace.engine.intake')
local lifetimes = require('beespace.engine.lifetimes')
local live = require('beespace.engine.live')
local lost = require('beespace.engine.lost')
local output = require('beespace.engine.output')
local reply = require('beespace.engine.reply')
local request = require('beespace.engine.request')
local sessions = require('beespace.engine.sessions')
local shared = require('beespace.engine.table')
local state = require('beespace.engine.state')
local stopping = require('beespace.engine.stopping')
local sys = require('beespace.engine.sys')
local turnstile = require('beespace.engine.turnstile')
local user = require('beespace.engine.user')
local watch = require('beespace.engine.watch')

local C = sys.C
local error, pcall, tonumber = error, pcall, tonumber
local max, yield = math.max, coroutine.yield
local ube32, read_length = decode.ube32, framing.read_length
local BROKEN, SHORT = framing.BROKEN, framing.SHORT
local execute, flush, receive = request.execute, output.flush, input.receive
local open_next, forget_error = intake.next, errors.api.clear
local messages, next_message, flush_bus, flush_next = bus.now, bus.next, bus.flush, bus.flush_next
local attend_to_channel = channels.attend
local publish, tick, sweep = figures.publish, chores.tick, lifetimes.sweep
local resume_next, rest, IDLE = flight.resume_next, fibers.rest, fibers.IDLE
local enter_session, leave_session = user.enter, user.leave
local encode_settings, reasons = encode.settings, shared.reason
local REQUESTS, LINGERS, CONSOLE = sessions.REQUESTS, sessions.LINGERS, sessions.CONSOLE
local st = state.st
local p = state.input
local SOFT_OUTPUT, KEEP, FOREVER = state.SOFT_OUTPUT, state.KEEP, state.FOREVER
local EPOLLIN, EPOLLOUT, EPOLLERR = sys.EPOLLIN, sys.EPOLLOUT, sys.EPOLLERR

local EVENTS = 256
-- Seconds after which a busy worker lets others of its CPU run; the system's clock tick would make
-- them wait 4 ms.
local YIELD = 0.0001
-- Longest sleep of the loop, milliseconds: the heartbeat moves at least that often.
local SLEEP = 500
local TICK = chores.SECONDS

-- What st.stop says: end for good, or leave to have the traces made anew.
local loop = {END = 1, CURE = 2}

local events = ffi.new('bee_epoll_event[?]', EVENTS)

-- Leave the session at hand: its code does not run any more.
local function leave()
  local have = st.have
  if have > KEEP then
    sys.discard(state.input, KEEP, have)
  end
  st.i, st.have, st.fd = 0, 0, -1
  leave_session()
end

-- Send what has been answered so far; the batch goes on unless its session is gone or stopped.
local function flush_early(fd)
  local w = st.w
  st.w = 0
  publish(fd)
  flush(fd, w)
  if w > KEEP then
    sys.discard(state.output, KEEP, w)
  end
  local session = sessions.all[fd]
  if session.stopped ~= 0 then
    input.save(fd, st.i, st.have, 0)
  elseif session.id ~= 0 then
    return
  end
  leave()
end

-- The stream cannot be read any further: answer with the reason and let the session end.
local function refuse(fd, reason)
  st.bad, st.errors = st.bad + 1, st.errors + 1
  publish(fd)
  complaints.about(reason)
  local raised = errors.client('INVALID_MSGPACK', reason)
  flush(fd, reply.fail(state.output, 0, 0, raised))
  sessions.linger(fd, reasons.ERROR)
end

-- Keep or refuse the input behind the last whole packet.
local function keep_rest(fd, length, prefix, left)
  if length == BROKEN then
    refuse(fd, 'packet length')
  elseif length > st.max_packet then
    if left > prefix then
      refuse(fd, 'too big packet size in the header: ' .. framing.claimed(st.i, prefix))
    else
      input.save(fd, st.i, st.have, 0)
    end
  else
    input.save(fd, st.i, st.have, length >= 0 and prefix + length or 0)
  end
end

-- Close the batch of the session on `fd`. Who has an answer finds it counted.
local function end_batch(fd, length, prefix)
  local w = st.w
  publish(fd)
  if w > 0 then
    st.w = 0
    if messages.dirty ~= 0 and st.rehearsal == 0 then
      -- What the answers speak of is on its way before they are.
      flush_bus()
    end
    flush(fd, w)
    if w > KEEP then
      sys.discard(state.output, KEEP, w)
    end
  end
  local left = st.have - st.i
  if left > 0 then
    keep_rest(fd, length, prefix, left)
  end
  leave()
end

-- A session's input is in the buffer: its code runs from now on.
local function enter(fd)
  enter_session(fd)
  st.batch = st.batch + 1
  forget_error()
  encode_settings.error_ext = sessions.all[fd].error_ext
end

-- Everything but plain input of a session: channels, queues that drain, broken connections.
local function attend(fd, mask)
  if attend_to_channel(fd) then
    return
  end
  local session = sessions.all[fd]
  if session.id == 0 then
    if sessions.has_remains(fd) and (mask >= EPOLLERR or input.drain(fd)) then
      sessions.bury(fd)
    end
    return
  end
  if mask % (2 * EPOLLOUT) >= EPOLLOUT then
    local was_stopped = session.stopped
    output.writable(fd)
    if session.id ~= 0 and session.mode == REQUESTS and was_stopped ~= 0
       and session.stopped == 0 then
      input.resume(fd)
    end
    mask = mask - EPOLLOUT
  end
  if session.id == 0 or st.fd >= 0 or mask == 0 then
    return
  elseif session.mode == LINGERS then
    if mask >= EPOLLERR or input.drain(fd) and not output.only_write(fd) then
      sessions.close(fd)
    end
  elseif session.stopped ~= 0 then
    if mask == EPOLLIN then
      -- Stopped in this turn, after the wait that found it readable.
      return
    end
    sessions.close(fd, mask % (2 * EPOLLERR) >= EPOLLERR and reasons.ERROR or reasons.CLIENT)
  elseif session.mode == CONSOLE then
    consoles.receive(fd)
  elseif st.full == 0 or not turnstile.hold(fd) then
    receive(fd)
  end
end

-- Serve the event number k of the last wait.
local function serve(k)
  local fd = tonumber(events[k].data)
  local mask = events[k].events
  local session = sessions.all[fd]
  if mask == EPOLLIN and session.id ~= 0 and session.mode == REQUESTS and session.stopped == 0
     and st.full == 0 then
    receive(fd)
  elseif not sessions.is_new(fd) then
    attend(fd, mask)
  end
  if st.fd >= 0 then
    enter(fd)
  end
end

-- Let fibers run that are ready, tell who watches what has changed, and send what was answered.
local function settle()
  if st.rehearsal ~= 0 then
    if st.unsent ~= 0 then
      output.send_unsent()
    end
    return
  end
  if st.ready ~= 0 then
    yield(IDLE)
  end
  watch.turn()
  if st.full ~= 0 then
    turnstile.turn(flight.total, flight.resume_later)
  end
  if st.unsent ~= 0 then
    if messages.dirty ~= 0 then
      flush_bus()
    end
    output.send_unsent()
  end
end

-- Milliseconds that the loop may sleep.
local function patience()
  if st.ready ~= 0 or st.resumes ~= 0 or messages.dirty ~= 0 or watch.is_busy() or st.stop ~= 0 then
    return 0
  elseif st.next_timer == FOREVER and st.next_sweep > st.woke + SLEEP / 1000 then
    return SLEEP
  end
  return fibers.milliseconds()
end

-- Wait for events.
local function wait()
  local row = shared.row
  row.heartbeat = row.heartbeat + 1
  settle()
  if messages.dirty ~= 0 and st.rehearsal == 0 then
    flush_next()
  end
  local sleep = patience()
  st.longest = max(st.longest, sys.clock(sys.CLOCK_MONOTONIC) - st.woke)
  local found = C.epoll_wait(st.poll, events, EVENTS, sleep)
  st.k, st.n = 0, found > 0 and found or 0
  st.turn = (st.turn + 1) % 2 ^ 30
  local now = sys.clock(sys.CLOCK_MONOTONIC)
  st.woke = now
  if now >= st.next_yield then
    st.next_yield = now + YIELD
    C.sched_yield()
  end
  if now >= st.next_timer then
    st.ready = 1
  end
  if now >= st.next_sweep and st.rehearsal == 0 then
    sweep(now)
  end
  if now >= st.next_tick and st.rehearsal == 0 then
    st.next_tick = now + TICK
    if tick(now) and st.stop == 0 then
      st.stop = loop.CURE
    end
  end
end

-- One step; false when the loop shall stop, and when its coroutine is wanted for a fiber's code.
local function step()
  local i = st.i
  local left = st.have - i
  local length, prefix = SHORT, 5
  if left >= 5 and p[i] == 0xce then
    length = ube32(p, i + 1)
  elseif left > 0 then
    length, prefix = read_length(i, left)
  end
  if length >= 0 and left - prefix >= length and left > prefix and length <= st.max_packet then
    st.i = i + prefix + length
    st.in_request = 1
    local w = execute(i + prefix)
    if w < 0 then
      return rest()
    end
    st.in_request = 0
    st.w = w
    if w > SOFT_OUTPUT then
      flush_early(st.fd)
    end
    return true
  end
  local fd = st.fd
  if fd >= 0 then
    end_batch(fd, length, prefix)
  end
  local k = st.k
  if st.taken < st.came then
    open_next()
  elseif messages.at < messages.have then
    next_message()
  elseif st.resumes ~= 0 and st.rehearsal == 0 then
    resume_next()
    if st.fd >= 0 then
      enter(st.fd)
    end
  elseif k < st.n then
    st.k = k + 1
    serve(k)
  elseif messages.dirty ~= 0 and st.rehearsal == 0 then
    flush_next()
  elseif st.stop ~= 0 then
    return false
  else
    wait()
  end
  return true
end

-- The loop. It reads nothing but a local: anything else that its head checks is stored by each side
-- trace for it, in two halves, which the processor cannot read as one without a stall.
local function run()
  local go_on = step
  repeat until not go_on()
end
loop.run = run

-- Answer the request that raised; its half-written answer is overwritten.
local function answer_error(raised)
  st.errors = st.errors + 1
  local w = answer.fail(raised)
  st.w = w
  if w > SOFT_OUTPUT then
    flush_early(st.fd)
  end
end

-- Run the loop until it shall stop, or until the request of this coroutine, which has waited, is
-- answered. A request's error is answered; any other error is ours and raised.
function loop.guard()
  while true do
    local ok, raised = pcall(run)
    if ok then
      return
    elseif st.away ~= 0 then
      answer.fail_late(raised)
      return
    elseif st.in_request == 0 then
      error(raised, 0)
    end
    -- Still the request's: what it raised may have a __tostring of its own.
    answer_error(raised)
    st.in_request = 0
  end
end

-- Ask the supervisor's channel and the pending signals; called when either has something for us.
function loop.attend_to_python()
  local asked, batches, settings = bridge.attend()
  if settings ~= nil then
    live.take(settings)
  end
  if batches ~= nil then
    lost.take(batches)
  end
  if asked == 'end' then
    st.stop = loop.END
  elseif asked == 'drain' and st.stop ~= loop.END then
    stopping.begin()
  end
end
stopping.finish = function() st.stop = loop.END end

-- Take a batch of new connections; without an acceptor the channel is left alone.
function loop.attend_to_intake(fd)
  if not intake.receive(fd) then
    channels.drop_channel(fd)
  end
end

return loop
