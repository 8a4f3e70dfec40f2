-- box.session.set_name, get_name, set_attr, attrs: what a session says about itself, for all who
-- list sessions.
--
--   set_name(name), get_name()     a text; nil takes it away
--   set_attr(key, value), attrs()  texts by texts; nil takes one away
--
-- They are kept in the session's slot, so name and attributes together take TEXT_BYTES bytes at
-- most (an attribute two more than its texts, and one for all), and go with the session. Texts are
-- printable UTF-8: they are shown in terminals, logs and metrics. engine/main requires this file.

local arguments = require('beespace.engine.arguments')
local bus = require('beespace.engine.bus')
local glance = require('beespace.engine.glance')
local labels = require('beespace.engine.labels')
local session = require('beespace.box.session')
local shared = require('beespace.engine.table')
local state = require('beespace.engine.state')

local ipairs, type = ipairs, type
local cur = state.cur
local refuse, shown = arguments.refuse, arguments.shown

-- Characters of UTF-8 that are more than a byte, the longest first. C1, which are control
-- characters, are none of them.
local CHARACTERS = {
  '\240[\144-\191][\128-\191][\128-\191]', '[\241-\243][\128-\191][\128-\191][\128-\191]',
  '\244[\128-\143][\128-\191][\128-\191]', '\224[\160-\191][\128-\191]',
  '[\225-\236\238\239][\128-\191][\128-\191]', '\237[\128-\159][\128-\191]',
  '\194[\160-\191]', '[\195-\223][\128-\191]',
}

-- Those of them that break a line, or turn the direction of all that is written behind them:
-- U+061C, U+200E, U+200F, U+2028 to U+202E, U+2066 to U+2069.
local STEERING = {
  '\216\156', '\226\128[\142\143\168-\174]', '\226\129[\166-\169]',
}

local function is_printable(text)
  if text:find('[^\32-\126]') == nil then
    return true
  end
  for _, character in ipairs(STEERING) do
    if text:find(character) ~= nil then
      return false
    end
  end
  for _, character in ipairs(CHARACTERS) do
    text = text:gsub(character, ' ')
  end
  return text:find('[^\32-\126]') == nil
end

local function check(what, value)
  if type(value) ~= 'string' then
    refuse(what, 'got %s, expected a text', shown(value))
  elseif not is_printable(value) then
    refuse(what, 'got a text of %d bytes that is no printable UTF-8', #value)
  end
  return value
end

-- The slot of the session whose code runs, which must be this worker's.
local function own_slot(what)
  local id = cur.id
  if id == 0 then
    refuse(what, 'the running code belongs to no session')
  end
  local slot = shared.slots[id % shared.capacity]
  if slot.id ~= id then
    refuse(what, 'session %.0f has ended', id)
  elseif slot.worker ~= bus.index then
    refuse(what, 'session %.0f can be changed by its own worker only', id)
  end
  return slot
end

local function write(what, slot, name, attributes)
  local size = labels.write(slot, name, attributes)
  if size > shared.TEXT_BYTES then
    refuse(what, 'name and attributes would take %d bytes, expected %d at most', size,
      shared.TEXT_BYTES)
  end
end

-- See the head of this file.
function session.set_name(name)
  local what = 'box.session.set_name'
  local slot = own_slot(what)
  write(what, slot, name == nil and '' or check(what, name), labels.attributes(slot))
end

function session.get_name()
  local found = glance.of(cur.id) and labels.name(glance.copy) or ''
  return found ~= '' and found or nil
end

function session.set_attr(key, value)
  local what = 'box.session.set_attr'
  local slot = own_slot(what)
  local attributes = labels.attributes(slot)
  if check(what, key) == '' then
    refuse(what, "got '', expected the name of an attribute")
  end
  attributes[key] = value ~= nil and check(what, value) or nil
  write(what, slot, labels.name(slot), attributes)
end

function session.attrs()
  return glance.of(cur.id) and labels.attributes(glance.copy) or {}
end

return session
