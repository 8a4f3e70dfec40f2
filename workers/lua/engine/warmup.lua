-- Canned packets through the real loop before the first client.
--
-- Called by main once the application is loaded. A loop whose first traffic is odd (errors,
-- waiting) may be blacklisted by LuaJIT for ever; one that compiled once never is.
--
--   flush -> root trace of the loop, and nothing else -> lessons: side traces, and nothing else
--
-- What becomes a trace is no matter of chance: a function of the request path that was compiled by
-- itself would cut the loop's traces in pieces, which then cost a request up to twice the time. For
-- the lessons a client in this process talks to a session over a socket pair, so receiving, sending
-- and waiting are compiled too.

local ffi = require('ffi')
local jit_options = require('jit.opt')
local channels = require('beespace.engine.channels')
local codec = require('beespace.engine.codec')
local const = require('beespace.engine.const')
local encode = require('beespace.engine.encode')
local loop = require('beespace.engine.loop')
local output = require('beespace.engine.output')
local sessions = require('beespace.engine.sessions')
local shared = require('beespace.engine.table')
local state = require('beespace.engine.state')
local sys = require('beespace.engine.sys')
local user = require('beespace.engine.user')

local st = state.st
local types, keys = const.type, const.key
local C = sys.C
-- Times each kind of packet is sent alone, packets of such a text, and texts of all kinds together
-- and of one packet each.
local LESSONS, COPIES, MIXED, SINGLE = 2, 100, 60, 200
local SESSION, CAPACITY = 1, 16
local PEER = '127.0.0.1:55457'
-- After how many turns a loop is compiled, a function after twice as many calls. LuaJIT counts both
-- in 64 counters, which places of the program share by their addresses.
local AT_ONCE, NEVER, USUAL = 'hotloop=1', 'hotloop=30000', 'hotloop=56'

local warmup = {}

local function byte(number)
  return string.char(number)
end

local function framed(header, body)
  local packet = header .. body
  return '\206' .. '\0\0' .. byte(math.floor(#packet / 256)) .. byte(#packet % 256) .. packet
end

-- Headers as the connectors send them: type first with a short or a 64-bit sync, sync first, and
-- with a schema version.
local function headers(code)
  local kind = byte(code)
  return {
    '\130\0' .. kind .. '\1\5',
    '\130\0' .. kind .. '\1\207\0\0\0\0\0\0\1\0',
    '\130\0' .. kind .. '\1\206\0\0\1\0',
    '\130\1\205\1\0\0' .. kind,
    '\131\0' .. kind .. '\1\0\5\1',
  }
end

local function body(key, text, arguments)
  return '\130' .. byte(key) .. codec.pack(text) .. byte(keys.TUPLE) .. codec.pack(arguments)
end

local function bodies()
  local list = {}
  local function add(code, text, arguments)
    local key = code == types.EVAL and keys.EXPR or keys.FUNCTION_NAME
    list[#list + 1] = {code, body(key, text, arguments)}
  end
  add(types.CALL, 'box.session.exists', {1})
  add(types.CALL, 'box.session.id', {})
  add(types.CALL, 'box.session.peer', {1})
  add(types.EVAL, 'return ...', {1})
  add(types.CALL, 'tostring', {'text'})
  add(types.CALL, 'math.max', {1, 2})
  add(types.CALL, 'math.min', {3, 2, 1})
  add(types.EVAL, 'return 1, 2', {})
  list[#list + 1] = {types.PING, ''}
  return list
end

-- What the client sends, one text a turn: first one kind of packet after the other, the most
-- valuable first, then everything mixed. The first kind becomes the root trace, each further one a
-- side trace at the place where it differs.
local function lessons()
  local list, mixed = {}, {}
  for _, each in ipairs(bodies()) do
    for _, header in ipairs(headers(each[1])) do
      local packet = framed(header, each[2])
      for _ = 1, LESSONS do
        list[#list + 1] = packet:rep(COPIES)
      end
      mixed[#mixed + 1] = packet
    end
  end
  for _ = 1, MIXED do
    list[#list + 1] = table.concat(mixed)
  end
  for turn = 1, SINGLE do
    list[#list + 1] = mixed[turn % #mixed + 1]
  end
  list[#list + 1] = framed(headers(types.CALL)[1], body(keys.FUNCTION_NAME, 'error', {'warm-up'}))
  return list
end

-- The client: a channel of the loop that sends the next lesson when the last one was answered. It
-- ends the lessons when one is not taken whole: what they call is then the application's own, and
-- answers so much that the session is not read any more.
local function client(list)
  local texts = ffi.new('const uint8_t *[?]', #list)
  local lengths = ffi.new('size_t[?]', #list)
  for index, text in ipairs(list) do
    texts[index - 1] = text
    lengths[index - 1] = #text
  end
  local answers = ffi.new('uint8_t[?]', state.RECEIVE)
  local turn = ffi.new('int[1]')
  local last, flags = #list, sys.MSG_DONTWAIT + sys.MSG_NOSIGNAL
  return function(fd)
    local index = turn[0]
    turn[0] = index + 1
    if index > 0 then
      C.recv(fd, answers, state.RECEIVE, sys.MSG_DONTWAIT)
    end
    if index >= last or C.send(fd, texts[index], lengths[index], flags) ~= lengths[index] then
      st.stop = loop.END
    end
  end
end

-- Let the loop execute these packets, without a session to answer, hot or not; whether it came to
-- their end. An application that answers them with more than the loop keeps at a time does not let
-- it. Nothing of Lua runs between the choice and the loop: at once means the second call, too, of
-- two functions that share a counter.
local function execute(text, hot)
  local cap = encode.limits.cap
  encode.limits.cap = state.SOFT_OUTPUT
  ffi.copy(state.input, text, #text)
  st.i, st.have, st.stop = 0, #text, loop.END
  jit_options.start(hot)
  local ok = pcall(loop.run)
  jit_options.start(NEVER)
  encode.limits.cap = cap
  st.i, st.have, st.stop, st.in_request, st.calls, st.w = 0, 0, 0, 0, 0, 0
  return ok
end

-- Make the root trace from packets that the session on `fd` has sent. They are executed before, so
-- nothing is met for the first time; then the loop is hot as soon as it is entered. When the
-- application has its own idea of what they call, the root is left to chance.
local function make_root(fd, text)
  user.enter(fd)
  if execute(text, NEVER) then
    execute(text, AT_ONCE)
  else
    jit_options.start(USUAL)
  end
  user.leave()
end

-- Let a client in this process talk to a session of its own, in a poll set of their own; `list` is
-- kept alive by the caller. Without free descriptors there is no talk, only slower first requests.
local function talk(list)
  local poll, ends = C.epoll_create1(sys.EPOLL_CLOEXEC), ffi.new('int[2]')
  if poll < 0 or C.socketpair(sys.AF_UNIX, sys.SOCK_STREAM, 0, ends) ~= 0 then
    C.close(poll)
    return
  end
  local ours, theirs = ends[0], ends[1]
  local real, full = st.poll, st.full
  st.poll, st.full, st.rehearsal = poll, 0, 1
  local answer = client(list)
  channels.add_channel(theirs, answer)
  if sessions.open(SESSION, ours) then
    shared.slots[SESSION].uid = state.ADMIN
    make_root(ours, list[1])
    answer(theirs)
    loop.guard()
    sessions.close(ours)
  else
    C.close(ours)
  end
  channels.drop_channel(theirs)
  C.close(theirs)
  C.close(poll)
  st.poll, st.full, st.rehearsal, st.stop = real, full, 0, 0
end

-- Compile the common ways through the loop, and let it answer one error at the end. The session
-- lives in a table and a row of its own, which nobody else sees; so what is queued for others is
-- sent before.
function warmup.run()
  output.send_unsent()
  jit.flush()
  jit_options.start(NEVER)
  local row = ffi.new('bee_row_t')
  local slots = ffi.new('bee_slot_t[?]', CAPACITY)
  local slot = slots[SESSION]
  slot.peer_len = #PEER
  ffi.copy(slot.peer, PEER, #PEER)
  slot.state = shared.CLAIMED
  slot.id = SESSION
  local list = lessons()
  local before = {shared.swap(ffi.cast('bee_slot_t *', slots), CAPACITY,
    ffi.cast('bee_row_t *', row))}
  talk(list)
  shared.swap(unpack(before))
  jit_options.start(USUAL)
  -- Referenced until here: the pointers above do not keep them alive.
  assert(row and slots and list)
end

return warmup
