-- Looks at one slot of the session table: a private copy, which belongs to one session as a whole.
--
-- engine/roster and box/session_list look at sessions of all workers that way. No lock is taken:
-- the id is checked before and after the copy, and the version of the text. A copy is overwritten
-- by the next look, so nobody keeps it while others run. engine/main attaches it.

local bit = require('bit')
local ffi = require('ffi')
local shared = require('beespace.engine.table')

local copy, band = ffi.copy, bit.band
-- Tries to get a text while its owner changes it.
local TRIES = 1000

local glance = {}

local mine, size

-- Make the copy, glance.copy, as the layout of engine/table is known now.
function glance.attach()
  mine, size = ffi.new('bee_slot_t'), ffi.sizeof('bee_slot_t')
  glance.copy = mine
end

-- A copy whose text is whole; that of an owner who died while it wrote counts as none.
local function settle(slot)
  for _ = 1, TRIES do
    local version = slot.text_version
    copy(mine, slot, size)
    if band(version, 1) == 0 and slot.text_version == version then
      return
    end
  end
  mine.name_len, mine.attrs_len = 0, 0
end

-- Copy the session in a slot: its id, 0 when the slot is free or changes hands.
function glance.at(index)
  local slot = shared.slots[index]
  local id = slot.id
  if id == 0 then
    return 0
  end
  local version = slot.text_version
  copy(mine, slot, size)
  if band(version, 1) ~= 0 or slot.text_version ~= version then
    settle(slot)
  end
  return slot.id == id and tonumber(id) or 0
end

-- Copy the session `id` (a whole number); whether there is one.
function glance.of(id)
  return id > 0 and id < shared.ID_LIMIT and glance.at(id % shared.capacity) == id
end

return glance
