-- Ends code that runs too long, takes too much memory, or is cancelled while it does not wait.
--
--   workers/watchdog.py   sees that one piece of code shall, writes down which and why (the doom),
--     |                   and sets the hook below in the running interpreter
--     v
--   hook                  is called before each instruction: raises in the doomed code, again and
--                         again until that has ended, then takes itself away
--
-- Code is known by its pulse, the head of engine/state: it changes with every request and every
-- switch of fibers, so nothing but the doomed code can be hit. Our own code is not interrupted, it
-- returns to the application's, except while it reads the MessagePack of a request. What the hook
-- does not see is compiled code that never comes back to the interpreter, and a C function that
-- does not return: the watchdog then ends the process.
--
-- Memory is collected before anybody is blamed for it, and when the blamed code has ended.

local errors = require('beespace.box.error')
local ffi = require('ffi')
local fibers = require('beespace.engine.fibers')
local state = require('beespace.engine.state')
local sys = require('beespace.engine.sys')

local collectgarbage, error, tonumber, tostring = collectgarbage, error, tonumber, tostring
local getinfo, sethook = debug.getinfo, debug.sethook
local C, st, cur = sys.C, state.st, state.cur

ffi.cdef [[
typedef struct {
  uint8_t pulse[24];  /* whose end is wanted */
  double session;     /* from CANCELLED on: whose code it has to be */
  int32_t reason;     /* TIME, MEMORY, CANCELLED: its request, or 4: its session shall end */
  int32_t pace;       /* what the collector's step multiplier was before the watchdog changed it */
  int32_t blamed;     /* times that memory was not to be had but by ending code */
} bee_doom_t;
]]

local TIME, MEMORY, CANCELLED = 1, 2, 3
-- A count that is never reached.
local NEVER = 0x7fffffff
local PULSE = 24
-- A collection must leave this part of the limit free, or the next one follows at once.
local ENOUGH = 0.1
-- As long as one gets this part of the limit back, another one may get more: a buffer of LuaJIT's
-- own becomes half as long with each.
local PROGRESS = 0.05
-- Seconds until another collection is tried after one that was in vain.
local IN_VAIN = 10

local interrupt = {}

local doom = ffi.new('bee_doom_t')
-- No batch has this number.
ffi.cast('double *', doom.pulse)[0] = -1

local messages, memory_limit = {}, 0
local lua, thread, address
-- Whether code is condemned for its memory, and its pulse.
local condemned, convict = false, ffi.new('uint8_t[?]', PULSE)
local next_collection = 0

-- Leave the hook with Lua, but let nothing call it.
local function disarm(hook)
  sethook(hook, '', NEVER)
  lua.lua_sethook(address, nil, 0, 0)
end

local function heap()
  return collectgarbage('count') * 1024
end

-- Collect all garbage; whether there is enough room then. There may be already: the watchdog looks
-- while what condemned code has left is collected.
local function make_room()
  if heap() <= memory_limit then
    return true
  end
  local now = sys.clock(sys.CLOCK_MONOTONIC)
  if now < next_collection then
    return false
  end
  local wanted, least = memory_limit * (1 - ENOUGH), memory_limit * PROGRESS
  local before
  local after = heap()
  repeat
    collectgarbage()
    before, after = after, heap()
  until after < wanted or before - after < least
  next_collection = after < wanted and 0 or now + IN_VAIN
  return after < wanted
end

-- Whether the doomed code is condemned for its memory. Other code that was has ended meanwhile
-- without an instruction that the hook has seen: what it has left is collected.
local function is_condemned()
  if condemned and C.memcmp(convict, doom.pulse, PULSE) ~= 0 then
    condemned = false
    collectgarbage()
  end
  return condemned
end

-- Everything as it was.
local function release(hook)
  disarm(hook)
  if doom.pace ~= 0 then
    collectgarbage('setstepmul', doom.pace)
    doom.pace = 0
  end
  if condemned then
    condemned = false
    collectgarbage()
  end
end

-- Reading MessagePack leaves nothing half done, and keys of a map that all collide make it slow.
local function may_raise_in(source)
  if source:sub(1, 10) ~= '@beespace/' then
    return true
  end
  return (st.in_request ~= 0 or st.away ~= 0) and source:find('/decode.lua', 1, true) ~= nil
end

-- Whether the running code, which is a session's that shall end or whose request shall, is none of
-- its requests: an on_disconnect is left alone, and an on_connect unless the session shall end.
local function is_no_request()
  if doom.reason < CANCELLED or st.away == 0 then
    return false
  end
  local record = fibers.current()
  -- There is none while fibers are switched.
  return record ~= nil and (record.parting or record.arriving and doom.reason == CANCELLED)
end

-- Whether what runs is not that code, but a fiber that it has made, and which runs for the first
-- time.
local function is_spared()
  return doom.reason >= CANCELLED and cur.id ~= doom.session
end

local function hook()
  if C.memcmp(st, doom.pulse, PULSE) ~= 0 or is_no_request() then
    release(hook)
  elseif is_spared() then
    return
  elseif may_raise_in(getinfo(2, 'S').source) then
    if doom.reason == MEMORY and not is_condemned() then
      if make_room() then
        release(hook)
        return
      end
      condemned = true
      ffi.copy(convict, doom.pulse, PULSE)
      doom.blamed = doom.blamed + 1
    elseif doom.reason >= CANCELLED then
      error(errors.typed('FiberIsCancelled', 'fiber is cancelled'))
    end
    error(messages[doom.reason], 2)
  end
end

-- Take what sets hooks out of the debug library of applications: theirs would replace ours.
function interrupt.hide(library)
  library.sethook, library.gethook = nil, nil
end

local function address_of(structure)
  return tonumber(ffi.cast('uintptr_t', ffi.cast('void *', structure)))
end

-- What code raises that is ended because it has run longer than so many seconds.
function interrupt.limit_time(seconds)
  messages[TIME] = ('request took longer than limits.request_time (%g s)'):format(seconds)
end

-- What code raises that is ended because the heap has more bytes than this.
function interrupt.limit_memory(bytes)
  messages[MEMORY] = ('not enough memory: lua.memory is %d bytes'):format(bytes)
  memory_limit = bytes
end

-- Make everything ready; `library` is the file with LuaJIT's C functions. Returns addresses for the
-- watchdog: the Lua state, the hook, the pulse, the doom, the id of the running session, the
-- receive buffer, the statements of consoles.
function interrupt.install(library)
  lua = ffi.load(library)
  -- Referenced for ever: its address stands for the whole runtime, whose hook is one.
  thread = coroutine.create(hook)
  address = ffi.cast('void *', tonumber(tostring(thread):match('0x%x+')))
  sethook(hook, '', NEVER)
  local hook_address = address_of(lua.lua_gethook(address))
  disarm(hook)
  return address_of(address), hook_address, address_of(st), address_of(doom),
    address_of(state.cur), address_of(state.input), address_of(state.executed)
end

return interrupt
