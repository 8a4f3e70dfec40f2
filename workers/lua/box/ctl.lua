-- box.ctl: what an application does when the server ends.
--
-- on_shutdown takes functions as every trigger does; each runs in a fiber of its own in every
-- worker when the server is asked to stop, and holds the end up, within the time limit, while it
-- runs.

local stopping = require('beespace.engine.stopping')
local trigger_list = require('beespace.box.trigger_list')

local error, type = error, type

local on_shutdown, run = trigger_list.new()
stopping.triggers = run

local ctl = {on_shutdown = on_shutdown}

-- Change the seconds that this worker's end may be held up.
function ctl.set_on_shutdown_timeout(seconds)
  if type(seconds) ~= 'number' or not (seconds > 0) then
    error('box.ctl.set_on_shutdown_timeout(seconds): expected a number greater than 0', 0)
  end
  stopping.timeout = seconds
end

return ctl
