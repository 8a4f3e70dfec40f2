-- The application of the soak (tests/soak): its triggers note every session in a file that outlives
-- the worker, and its functions wait, push, take too long or too much.
--
-- A line of the file is one write with O_APPEND: what was written stays when its worker is killed.

local clock = require('clock')
local ffi = require('ffi')
local fiber = require('fiber')

local FOLDER = '@FOLDER@'

-- The first worker that starts while this file is there cannot.
if os.rename(FOLDER .. '/broken', FOLDER .. '/was_broken') then
  error('broken on purpose')
end

ffi.cdef [[
unsigned sleep(unsigned);
int socket(int domain, int type, int protocol);
int connect(int fd, const void *address, unsigned length);
int close(int fd);
]]

local journal = assert(io.open(FOLDER .. '/journal', 'a'))
journal:setvbuf('full', 4096)

local function note(what, ...)
  local session = box.session
  journal:write(table.concat({what, session.id(), box.info.pid, clock.monotonic(), session.peer(),
    ...}, ' '), '\n')
  journal:flush()
end

box.session.on_connect(function()
  note('connect')
  if box.session.id() % 16 == 0 then
    fiber.sleep(0.01)
  end
end)

box.session.on_disconnect(function()
  note('disconnect', box.session.reason())
  if box.session.id() % 16 == 8 then
    fiber.sleep(0.01)
  end
end)

-- luacheck: globals echo whereami pause pushes text keep kept send flood endless runaway hog stuck
-- luacheck: globals dial

function echo(...) return ... end

function whereami() return box.session.id(), box.info.pid end

function pause(seconds, value)
  fiber.sleep(seconds)
  return value
end

function pushes(count)
  for k = 1, count do
    box.session.push(k)
  end
  return count
end

function text(bytes) return ('x'):rep(bytes) end

function keep(value) box.session.storage.value = value end

function kept() return box.session.storage.value end

function send(session, value)
  local ok, err = box.session.push_to(session, value)
  return ok and '' or err.message
end

-- More than a client may leave unread.
function flood(bytes)
  for _ = 1, bytes / 65536 do
    pcall(box.session.push, ('x'):rep(65536))
  end
end

-- A loop that the watchdog can end.
function runaway()
  while true do
    pcall(error, 'no')
  end
end

-- A loop that it cannot end.
function endless()
  while true do end
end

-- A request that takes all the memory there is.
function hog()
  local all = {}
  while true do
    all[#all + 1] = ('x'):rep(100000) .. #all
  end
end

-- A C function that does not return.
function stuck() ffi.C.sleep(600) end

-- Connect to an abstract socket; the connection becomes a session. Empty, or why it does not.
function dial(name)
  local fd = ffi.C.socket(1, 1, 0)
  local address = '\1\0\0' .. name
  assert(ffi.C.connect(fd, address, #address) == 0)
  local ok, raised = pcall(box.session.new, {fd = fd})
  if not ok then
    ffi.C.close(fd)
  end
  return ok and '' or tostring(raised)
end
