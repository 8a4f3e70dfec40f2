-- Large YAML documents: rendered by a thread of Python while the fiber that wants them waits.
--
-- Called by engine/yaml where the running code may wait. workers/press.py has the threads; the
-- numbers of finished documents come through a socket, whose descriptor engine/main names.

local ffi = require('ffi')
local bridge = require('beespace.bridge')
local channels = require('beespace.engine.channels')
local fibers = require('beespace.engine.fibers')
local sys = require('beespace.engine.sys')

local error, pcall, tonumber = error, pcall, tonumber

-- Numbers that are read at once, four bytes each.
local MOST = 64
local numbers = ffi.new('uint32_t[?]', MOST)

local press = {
  -- Whether there are threads.
  is_attached = false,
}

-- Records of waiting fibers by the number of their document; true when it is done.
local waiting = {}

-- Wake who waits for documents that are done.
local function attend(fd)
  local size = tonumber(sys.C.recv(fd, numbers, MOST * 4, sys.MSG_DONTWAIT))
  for place = 0, size / 4 - 1 do
    local number = tonumber(numbers[place])
    local record = waiting[number]
    if record ~= nil then
      waiting[number] = true
      if record ~= true then
        fibers.wake(record)
      end
    end
  end
end

local function checked(result, problem)
  if result == nil then
    error(problem, 0)
  end
  return result
end

--- Learn on `fd` which documents are done.
function press.attach(fd)
  channels.add_channel(fd, attend)
  press.is_attached = true
end

--- A new document; its number.
function press.begin(dialect, handle, prefix)
  return checked(bridge.press_begin(dialect, handle, prefix))
end

--- More events of a document.
function press.feed(number, events)
  checked(bridge.press_feed(number, events))
end

--- Forget a document.
function press.drop(number)
  waiting[number] = nil
  bridge.press_drop(number)
end

local function wait_for(number)
  while waiting[number] ~= true do
    fibers.suspend()
  end
end

--- Wait for the text of a document that has all of its events. Raises when the fiber is cancelled.
function press.finish(number)
  waiting[number] = fibers.current()
  checked(bridge.press_finish(number))
  local ok, raised = pcall(wait_for, number)
  if not ok then
    press.drop(number)
    error(raised, 0)
  end
  waiting[number] = nil
  return checked(bridge.press_take(number))
end

return press
