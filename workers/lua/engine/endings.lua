-- Why sessions end, in the log.
--
-- With log.level verbose there is a line for every session whose client is gone, whoever ended it:
-- engine/sessions calls left(). What the server ends for a reason of its own is told at lower
-- levels, by those who end it; engine/logins has no log, so stale() is said here.

local bridge = require('beespace.bridge')
local complaints = require('beespace.engine.complaints')
local levels = require('beespace.engine.levels')
local logins = require('beespace.engine.logins')
local output = require('beespace.engine.output')
local sessions = require('beespace.engine.sessions')
local shared = require('beespace.engine.table')

local tonumber = tonumber
local LEVEL = 'verbose'
local NUMBER = levels.NUMBERS[LEVEL]

-- A session is closed because its client does not read.
function output.overflowed(id, bytes)
  complaints.deaf(id, ('closed: %d bytes wait for %s, session.output_limit is %d')
    :format(bytes, shared.peer(id) or '?', output.limit))
end

-- Names of the reasons, as box.session.reason() gives them.
local names = {}
for name, number in pairs(shared.reason) do
  names[number] = name:lower()
end

local left = sessions.left
function sessions.left(id)
  left(id)
  if NUMBER <= levels.current() then
    local slot = shared.slots[id % shared.capacity]
    bridge.log(LEVEL, ('connection %s ended: %s'):format(shared.peer(id) or '?',
      names[tonumber(slot.reason)]), id)
  end
end

function logins.stale(id)
  complaints.closing(id, shared.peer(id) or '?', 'its login holds no longer')
end
