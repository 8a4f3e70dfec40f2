-- Application that every server under test loads, so that all of them run the same Lua.
--
-- bench_cpu(turns) burns CPU in a loop that LuaJIT compiles, touches no memory and returns a number
-- which depends on every turn: the client knows the right one. Turns are calibrated by
-- bench/client.py in its own LuaJIT, once a run, and are the same for every server.
--
-- bench_sleep(seconds) lets its fiber sleep and returns the seconds.
--
-- bench_mixed() returns at once, but every tenth call lets its fiber sleep for five milliseconds.
--
-- bench_flood(id, count, rate) sends that many messages to a session, at that rate a second or as
-- fast as its inbox takes them (0); bench_collect(count) receives them. See bench/messages.py.
--
-- bench_lookup(what, ids, turns) calls box.session.exists or peer for these sessions again and
-- again, in a loop that LuaJIT compiles where it can, and returns nanoseconds of CPU a call and how
-- many answers were those of a session that exists. bench_ids(worker, count) lists sessions of a
-- worker. See bench/suite/lookup.py.
--
-- bench_garbage(tables) makes that many small tables and drops all but the last 64. The memory
-- benchmark calls it before it looks, so that the heap has the size at which the collector works.

local bit = require('bit')

local bxor, rol, tobit = bit.bxor, bit.rol, bit.tobit
-- Seconds of work before a figure is taken.
local WAKING = 0.1

function bench_cpu(turns)
  local h = tobit(0x9e3779b9)
  for i = 1, turns do
    h = bxor(rol(h, 5), i)
  end
  return h % 65536
end

-- The client, which loads this file too, has no fibers.
local fiber

function bench_sleep(seconds)
  fiber = fiber or require('fiber')
  fiber.sleep(seconds)
  return seconds
end

local mixed = 0

function bench_mixed()
  mixed = mixed + 1
  if mixed % 10 == 0 then
    bench_sleep(0.005)
  end
  return true
end

-- Send messages until `due` of `sent` have left or the inbox is full; how many have.
local function send(id, sent, due, clock)
  while sent < due do
    local ok, err = box.session.push_to(id, {sent + 1, clock()})
    if not ok then
      if not err.message:find('full', 1, true) then
        error(err)
      end
      break
    end
    sent = sent + 1
  end
  return sent
end

function bench_flood(id, count, rate)
  fiber = fiber or require('fiber')
  local clock = require('clock').monotonic
  local started, sent = clock(), 0
  while sent < count do
    local due = rate > 0 and math.min(count, math.floor((clock() - started) * rate)) or count
    sent = send(id, sent, due, clock)
    if sent < count then
      fiber.sleep(rate > 0 and 0.001 or 0)
    end
  end
  return started
end

function bench_collect(count)
  local clock = require('clock').monotonic
  local ordered, delays = true, {}
  repeat
    local messages = box.session.receive(10)
    local now = clock()
    for k = 1, #messages do
      local number = #delays + 1
      ordered = ordered and messages[k][1] == number
      delays[number] = math.floor((now - messages[k][2]) * 1e6)
    end
  until #messages == 0 or #delays >= count
  return ordered, clock(), delays
end

local function exists_all(ids, turns)
  local exists, count, found, at = box.session.exists, #ids, 0, 0
  for _ = 1, turns do
    at = at < count and at + 1 or 1
    local answer = exists(ids[at])
    if answer == 1 or answer == true then
      found = found + 1
    end
  end
  return found
end

local function peer_all(ids, turns)
  local peer, count, found, at = box.session.peer, #ids, 0, 0
  for _ = 1, turns do
    at = at < count and at + 1 or 1
    if peer(ids[at]) ~= '0.0.0.0:0' then
      found = found + 1
    end
  end
  return found
end

function bench_lookup(what, ids, turns)
  local clock = require('clock').thread
  local run = what == 'exists' and exists_all or peer_all
  -- A core that has slept is slow until it has worked for a while.
  local begun = clock()
  repeat
    run(ids, 10000)
  until clock() - begun > WAKING
  begun = clock()
  local found = run(ids, turns)
  return (clock() - begun) / turns * 1e9, found
end

function bench_ids(worker, count)
  local ids = {}
  for place, row in ipairs(box.session.list({worker = worker, type = 'binary'})) do
    ids[place] = row.id
  end
  local chosen = {}
  for k = 1, math.min(count, #ids) do
    chosen[k] = ids[math.floor((k - 0.5) * #ids / math.min(count, #ids)) + 1]
  end
  return chosen
end

function bench_garbage(tables)
  local kept = {}
  for i = 1, tables do
    kept[i % 64 + 1] = {i}
  end
  return #kept
end
