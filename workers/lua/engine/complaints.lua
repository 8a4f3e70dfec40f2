-- Packets that could not be read, in the log: some lines a second, and how many more there were.
--
-- Whoever answers such a packet calls about(); the loop calls tick() once a second.

local bridge = require('beespace.bridge')
local state = require('beespace.engine.state')

local cur = state.cur
-- Lines in a second.
local MOST = 10

local complaints = {}

local said, unsaid = 0, 0

-- A packet of the current session could not be read, for this reason.
function complaints.about(reason)
  if said < MOST then
    said = said + 1
    bridge.log('error', 'Invalid MsgPack - ' .. reason, cur.id)
  else
    unsaid = unsaid + 1
  end
end

-- Another second begins.
function complaints.tick()
  if unsaid > 0 then
    bridge.log('error', ('%d more packets could not be read'):format(unsaid))
  end
  said, unsaid = 0, 0
end

return complaints
