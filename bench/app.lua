-- Application that every server under test loads, so that all of them run the same Lua.
--
-- bench_cpu(turns) burns CPU in a loop that LuaJIT compiles, touches no memory and returns a number
-- which depends on every turn: the client knows the right one. Turns are calibrated by
-- bench/client.py in its own LuaJIT, once a run, and are the same for every server.
--
-- bench_sleep(seconds) lets its fiber sleep and returns the seconds.
--
-- bench_garbage(tables) makes that many small tables and drops all but the last 64. The memory
-- benchmark calls it before it looks, so that the heap has the size at which the collector works.

local bit = require('bit')

local bxor, rol, tobit = bit.bxor, bit.rol, bit.tobit

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

function bench_garbage(tables)
  local kept = {}
  for i = 1, tables do
    kept[i % 64 + 1] = {i}
  end
  return #kept
end
