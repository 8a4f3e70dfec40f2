-- LuaJIT's profiler in a worker: where its virtual machine is, a thousand times a second.
--
-- bench/profile.py has every worker run this text with the argument 'start', and later with 'stop',
-- which returns how often the machine was in which state, and in which place of which file.
-- Compiled code is only seen when it was compiled after the start: starting throws the rest away.

local what = ...
local profile = require('jit.profile')

if what == 'start' then
  local states, places = {}, {}
  profile.found = {states = states, places = places}
  profile.start('li1', function(thread, samples, state)
    states[state] = (states[state] or 0) + samples
    local place = profile.dumpstack(thread, 'pl', 1)
    places[place] = (places[place] or 0) + samples
  end)
  return true
end

profile.stop()
local found = profile.found
profile.found = nil
return found
