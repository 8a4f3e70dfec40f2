-- The application of the whole-server tests of fibers: functions that wait, and say who they are.

local fiber = require('fiber')

-- luacheck: globals nap look yields wait_at open_gate trace visit cancel background story
function nap(seconds, ...)
  fiber.sleep(seconds)
  return ...
end

-- Who the running code is: a table, so that it can be compared whole.
function look()
  local s = box.session
  return {
    id = s.id(), type = s.type(), sync = s.sync(), fd = s.fd(), closed = s.closed(),
    user = s.effective_user(), exists = s.exists(s.id()), mine = s.storage.mine or 'nothing',
  }
end

-- What look() says before and after each of some yields, where it differs from the first time.
function yields(count, mine)
  box.session.storage.mine = mine
  local first, different = look(), {}
  for turn = 1, count do
    if turn % 3 == 0 then
      fiber.sleep(0.0005)
    else
      fiber.yield()
    end
    for key, value in pairs(look()) do
      if value ~= first[key] then
        different[#different + 1] = {turn, key, value, first[key]}
      end
    end
  end
  return first, different
end

local gates, stories = {}, {}

local function gate(name)
  gates[name] = gates[name] or fiber.cond()
  return gates[name]
end

-- Wait at a gate; what the request saw then is its story.
function wait_at(name)
  story[name] = {before = look(), fiber = fiber.id()}
  gate(name):wait()
  story[name].after = look()
  return 'through'
end

function open_gate(name)
  gate(name):broadcast()
end

story = stories

-- Note an arrival, wait, note the leaving: the order in which requests ran.
trace = {}

function visit(name, seconds)
  trace[#trace + 1] = name .. ' in'
  fiber.sleep(seconds)
  trace[#trace + 1] = name .. ' out'
  return name
end

function cancel(id)
  fiber.find(id):cancel()
end

-- What a fiber of the request sees, at once and after a wait.
function background()
  box.session.storage.mine = "the session's"
  local seen = {}
  local f = fiber.new(function()
    seen[1] = look()
    box.session.storage.mine = "the fiber's"
    fiber.sleep(0.001)
    seen[2] = look()
  end)
  f:set_joinable(true)
  f:join()
  return look(), seen[1], seen[2]
end
