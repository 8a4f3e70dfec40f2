-- Reads peers for ids near the newest one, as fast as LuaJIT can, and counts wrong ones.
--
-- Called by torture_reader.py with the engine's view of the table and the number of reads. The
-- writer makes a peer of nothing but its session's id, so every other text is a torn read.

local view, reads = ...

local header = view.header
local right, wrong, missing = 0, 0, 0
local example

for turn = 1, reads do
  local id = tonumber(header.last_id) - turn % 4
  local peer = view.peer(id)
  if peer == nil then
    missing = missing + 1
  elseif peer == (('%d;'):format(id)):rep(8) then
    right = right + 1
  else
    wrong = wrong + 1
    example = peer
  end
end

return right, wrong, missing, example
