-- print for applications: one line of the log at level info, the values separated by tabs.
--
-- engine/main puts it in the place of the global print.

local log = require('log')

local select, tostring = select, tostring
local concat = table.concat

return function(...)
  local parts = {}
  for i = 1, select('#', ...) do
    parts[i] = tostring((select(i, ...)))
  end
  log.info(concat(parts, '\t'))
end
