-- Ends code that runs too long.
--
--   workers/watchdog.py   sees that one piece of code runs too long, writes down which (the doomed
--     |                   pulse), and sets the hook below in the running interpreter
--     v
--   hook                  is called before each instruction: raises in the doomed code, again and
--                         again until that has ended, then takes itself away
--
-- The pulse is the head of engine/state: it changes with every request and every switch of fibers,
-- so nothing but the doomed code can be hit. Our own code is never interrupted; it returns to the
-- application's. What the hook does not see is compiled code that never comes back to the
-- interpreter, and a C function that does not return: the watchdog then ends the process.

local ffi = require('ffi')
local state = require('beespace.engine.state')
local sys = require('beespace.engine.sys')

local error, tonumber, tostring = error, tonumber, tostring
local getinfo, sethook = debug.getinfo, debug.sethook
local C, st = sys.C, state.st

-- A count that is never reached.
local NEVER = 0x7fffffff
local PULSE = 24

local interrupt = {}

local doomed = ffi.new('uint8_t[?]', PULSE)
-- No batch has this number.
ffi.cast('double *', doomed)[0] = -1

local message
local lua, thread, address

-- Leave the hook with Lua, but let nothing call it.
local function disarm(hook)
  sethook(hook, '', NEVER)
  lua.lua_sethook(address, nil, 0, 0)
end

local function hook()
  if C.memcmp(st, doomed, PULSE) ~= 0 then
    disarm(hook)
  elseif getinfo(2, 'S').source:sub(1, 10) ~= '@beespace/' then
    error(message, 2)
  end
end

-- Take what sets hooks out of the debug library of applications: theirs would replace ours.
function interrupt.hide(library)
  library.sethook, library.gethook = nil, nil
end

local function address_of(structure)
  return tonumber(ffi.cast('uintptr_t', ffi.cast('void *', structure)))
end

-- Make everything ready; `file` is the library that has LuaJIT's C functions, `text` what code that
-- is ended raises. Returns addresses for the watchdog: the Lua state, the hook, the pulse, where
-- the doomed one is written, the id of the running session, the receive buffer.
function interrupt.install(file, text)
  message = text
  lua = ffi.load(file)
  -- Referenced for ever: its address stands for the whole runtime, whose hook is one.
  thread = coroutine.create(hook)
  address = ffi.cast('void *', tonumber(tostring(thread):match('0x%x+')))
  sethook(hook, '', NEVER)
  local hook_address = address_of(lua.lua_gethook(address))
  disarm(hook)
  return address_of(address), hook_address, address_of(st), address_of(doomed),
    address_of(state.cur), address_of(state.input)
end

return interrupt
