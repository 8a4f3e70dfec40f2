-- What large answers and requests leave behind: given back to the system though nothing else
-- happens.
--
-- engine/consoles, engine/output and engine/input say how long it was: left(bytes). A text of 100
-- MB stays in Lua's heap, several times, until the collector comes there, which moves only when
-- code allocates. So engine/chores lets it go on for SLICE seconds at each tick, until it has been
-- through twice: what it had passed already when the text was dropped is found in the second turn.

local sys = require('beespace.engine.sys')

local collectgarbage = collectgarbage

-- Shorter texts are left to the collector's own pace.
local LARGE = 4194304
local SLICE = 0.004
local TURNS = 2

local garbage = {}

-- Turns of the collector that are due.
local turns = 0

-- A text of so many bytes is not needed any more, or will not be soon.
function garbage.left(bytes)
  if bytes >= LARGE then
    turns = TURNS
  end
end

-- Go on collecting for a while; whether there is more to do.
function garbage.tick()
  if turns > 0 then
    local due = sys.clock(sys.CLOCK_MONOTONIC) + SLICE
    repeat
      if collectgarbage('step', 0) then
        turns = turns - 1
      end
    until turns == 0 or sys.clock(sys.CLOCK_MONOTONIC) >= due
  end
  return turns > 0
end

return garbage
