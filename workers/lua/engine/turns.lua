-- Turns for others: work over very many things gives way every few milliseconds.
--
-- The work calls begin() once and then give(turn) between two portions of at most a millisecond.
-- Others run then when the code around it can wait; where it cannot, the work goes through without
-- a pause. A portion must leave nothing that others may overwrite. A fiber that was cancelled ends
-- there with the error of its cancellation.

local fibers = require('beespace.engine.fibers')

local clock, may_wait, suspend = fibers.clock, fibers.may_wait, fibers.suspend
-- Seconds until others have their turn.
local SLICE = 0.002

local turns = {}

-- What give() takes.
function turns.begin()
  return {due = clock() + SLICE}
end

-- Let others run when it is time.
function turns.give(turn)
  if clock() >= turn.due then
    if may_wait() then
      suspend(0)
    end
    turn.due = clock() + SLICE
  end
end

return turns
