-- Triggers: lists of functions by the name of an event, the same lists in every worker.
--
-- run() is called by whoever has an event to tell: a connection came or went, a user logs in,
-- access was denied. Applications change the lists through box/session_triggers and
-- modules/trigger, in any worker:
--
--   set(): function as bytes --> book in the segment (engine/trigger_book), whose word moves
--   count(), run(), list(): the word has moved --> read the book, make functions of new bytes
--
-- So a change is in force in every worker when the call that made it returns. A nudge over the bus
-- makes the others read at once, so that they say early what a function lacks there. The worker
-- that set a function keeps the function itself.
--
-- What is set while the application is loaded does not travel: each worker has its own functions,
-- with ids that are the same in all workers that loaded the same application ('app:G:EVENT:NUMBER',
-- G being the generation that a reload moves, see engine/trigger_lists). The first worker that is
-- ready writes their lists, and from then on they can be replaced and deleted like all others.

local ffi = require('ffi')
local book = require('beespace.engine.trigger_book')
local bus = require('beespace.engine.bus')
local log = require('log')
local shared = require('beespace.engine.table')
local shipping = require('beespace.engine.shipping')
local trigger_lists = require('beespace.engine.trigger_lists')

local error, ipairs, pairs, pcall, tonumber = error, ipairs, pairs, pcall, tonumber
local tostring = tostring
local NUDGE = bus.KIND.TRIGGER_NUDGE
-- Fields of an entry.
local ID, NAME, BYTES = 1, 2, 3

ffi.cdef [[
typedef struct {
  uint64_t seen;   /* the word of the book that was read last */
  int loading;     /* 1 while the application is loaded */
} bee_triggers_t;
]]

local triggers = {}

local now = ffi.new('bee_triggers_t')
local header
-- What the ids of the application's own entries begin with.
local prefix

-- The lists that were read last, and how long they are. A list is replaced, never changed.
local lists, counts = {}, {}
-- Functions by the ids of their entries, and ids of those that could not be made here.
local functions, broken = {}, {}
-- How many functions the application has set so far, by event.
local registered = {}

-- Reading -----------------------------------------------------------------------------------------

-- What people call this worker.
local function number()
  return tonumber(shared.row.number)
end

-- Make the function of an entry that another worker has set; nil when it cannot be made.
local function make(event, entry)
  local ok, func, missing = pcall(shipping.unpack, entry[BYTES])
  if not ok or func == nil then
    log.error("trigger '%s' of %s cannot run in worker %d: %s", entry[NAME], event, number(),
      ok and 'it has no ' .. missing[1] or tostring(func))
    return nil
  elseif #missing > 0 then
    log.warn("trigger '%s' of %s uses what worker %d does not have: %s", entry[NAME], event,
      number(), table.concat(missing, ', '))
  end
  return func
end

-- Use these lists from now on; `word` stands for them, `own` are functions that were just set here.
local function absorb(events, word, own)
  local views, known, failed, sizes = {}, {}, {}, {}
  for event, whole in pairs(events) do
    local list = trigger_lists.view(whole, prefix)
    views[event] = #list > 0 and list or nil
    sizes[event] = #list
    for _, entry in ipairs(list) do
      local id = entry[ID]
      known[id] = own[id] or functions[id]
      if known[id] == nil and entry[BYTES] ~= nil then
        known[id] = not broken[id] and make(event, entry) or nil
        failed[id] = known[id] == nil
      end
    end
  end
  lists, counts, functions, broken = views, sizes, known, failed
  now.seen = word
end

-- Read the book when it has changed.
function triggers.refresh()
  if header.trigger_generation ~= now.seen and now.loading == 0 then
    local newest, word = book.read()
    absorb(newest.events, word, {})
  end
end

local refresh = triggers.refresh

-- How many functions are set for an event now.
function triggers.count(event)
  if header.trigger_generation ~= now.seen then
    refresh()
  end
  return counts[event] or 0
end

-- Call the functions of an event with the arguments, newest first. The first error is raised and
-- stops the rest; one that is deleted meanwhile is left out.
function triggers.run(event, ...)
  refresh()
  local list = lists[event] or {}
  for index = 1, #list do
    local func = functions[list[index][ID]]
    if func ~= nil then
      func(...)
    end
  end
end

-- What is set for an event, newest first: a list of {name =, func =, id =}.
function triggers.list(event)
  refresh()
  local result = {}
  for _, entry in ipairs(lists[event] or {}) do
    local func = functions[entry[ID]]
    if func ~= nil then
      result[#result + 1] = {name = entry[NAME], func = func, id = entry[ID]}
    end
  end
  return result
end

-- Whether what list() told under this id is still set.
function triggers.is_set(id)
  refresh()
  return functions[id] ~= nil
end

local function sorted_names(map)
  local names = {}
  for name in pairs(map) do
    names[#names + 1] = name
  end
  table.sort(names)
  return names
end

-- Names of the events that have functions, sorted.
function triggers.events()
  refresh()
  return sorted_names(lists)
end

-- Changing ----------------------------------------------------------------------------------------

local function position(list, holds)
  for index, entry in ipairs(list) do
    if holds(entry) then
      return index
    end
  end
  return nil
end

local function position_of(list, func)
  return position(list, function(entry) return functions[entry[ID]] == func end)
end

local function position_named(list, name)
  return position(list, function(entry) return entry[NAME] == name end)
end

-- Id and default name of a new entry of an event: of the book that is being edited, or, without
-- one, of the application's own. Those are the same in every worker, by the name that was given or
-- else by number.
local function new_id(edited, event, name)
  if edited == nil and name ~= nil then
    return ('%s%s=%s'):format(prefix, event, name), name
  elseif edited == nil then
    registered[event] = (registered[event] or 0) + 1
    local which = ('%s:%d'):format(event, registered[event])
    return prefix .. which, 'app:' .. which
  end
  local id = edited.next
  edited.next = id + 1
  return id, ('0x%08x'):format(id)
end

-- Put what `edit(list)` makes of a copy of an event's list into the lists; what it returned.
local function edit_list(events, event, edit)
  local whole = events[event] or {}
  local list = trigger_lists.view(whole, prefix)
  local result = edit(list)
  if result then
    list = trigger_lists.put_back(whole, list, prefix)
    events[event] = #list > 0 and list or nil
  end
  return result
end

-- Let `edit(list, make_entry)` change the list of an event; false from it means that nothing
-- changes. What it returned. make_entry(name) makes an entry for the function.
local function change(event, func, bytes, edit)
  local own = {}
  local function edit_with(edited, events)
    return edit_list(events, event, function(list)
      return edit(list, function(name)
        local id, default = new_id(edited, event, name)
        own[id] = func
        return {id, name or default, bytes}
      end)
    end)
  end
  if now.loading ~= 0 then
    local result = edit_with(nil, lists)
    absorb(lists, now.seen, own)
    return result
  end
  local result, newest, word = book.change(function(edited)
    return edit_with(edited, edited.events)
  end)
  absorb(newest.events, word, own)
  if result then
    bus.broadcast(NUDGE, '')
  end
  return result
end

-- The function as bytes for the other workers, none for the application's own; raises when it
-- cannot travel.
local function bytes_of(func)
  if now.loading ~= 0 then
    return nil
  end
  local bytes, why = shipping.pack(func)
  if bytes == nil then
    error('the function cannot be sent to the other workers: ' .. why, 0)
  end
  return bytes
end

-- Whether a function is set that every worker has of its application: it stays as it is, and need
-- not be able to travel.
local function is_the_applications(event, func)
  refresh()
  local at = position_of(lists[event] or {}, func)
  return at ~= nil and lists[event][at][BYTES] == nil and now.loading == 0
end

-- Set a function: in the place of the entry with this name (of the same function when there is no
-- name), or else in front of all.
function triggers.set(event, func, name)
  if name == nil and is_the_applications(event, func) then
    return
  end
  local bytes = bytes_of(func)
  change(event, func, bytes, function(list, make_entry)
    local at
    if name ~= nil then
      at = position_named(list, name)
    else
      at = position_of(list, func)
    end
    if at == nil then
      table.insert(list, 1, make_entry(name))
    else
      list[at] = make_entry(list[at][NAME])
    end
    return true
  end)
end

-- Take `old` away and put `new` in front of all, in its place when they are the same; false when
-- `old` is not set.
function triggers.replace(event, new, old)
  local bytes = bytes_of(new)
  return change(event, new, bytes, function(list, make_entry)
    local at = position_of(list, old)
    if at == nil then
      return false
    elseif new == old then
      list[at] = make_entry(list[at][NAME])
      return true
    end
    table.remove(list, at)
    local again = position_of(list, new)
    if again ~= nil then
      table.remove(list, again)
    end
    table.insert(list, 1, make_entry())
    return true
  end)
end

-- Delete a function; false when it is not set.
function triggers.delete(event, func)
  return change(event, nil, nil, function(list)
    local at = position_of(list, func)
    return at ~= nil and table.remove(list, at) ~= nil
  end)
end

-- Delete what has this name: whether something had, and its function.
function triggers.delete_named(event, name)
  local func
  local found = change(event, nil, nil, function(list)
    local at = position_named(list, name)
    if at == nil then
      return false
    end
    func = functions[table.remove(list, at)[ID]]
    return true
  end)
  return found, func
end

-- The application's own ---------------------------------------------------------------------------

-- Ids and names of all entries, as a text that can be compared.
local function signature(events)
  local parts = {}
  for _, event in ipairs(sorted_names(events)) do
    for _, entry in ipairs(events[event]) do
      parts[#parts + 1] = ("'%s' of %s"):format(entry[NAME], event)
    end
  end
  return #parts > 0 and table.concat(parts, ', ') or 'none'
end

-- The application is about to be loaded: what it sets is its own.
function triggers.begin_loading()
  lists, counts, functions, broken, registered = {}, {}, {}, {}, {}
  now.loading = 1
end

-- Generations that workers run, or are going to run again.
local function generations()
  local live = {}
  for row = 0, tonumber(header.workers) - 1 do
    if shared.is_used(row) then
      live[tonumber(shared.rows[row].generation)] = true
    end
  end
  return live
end

-- The application is loaded: the first worker of its generation writes its lists, the others
-- compare theirs.
function triggers.end_loading()
  local mine, own, generation = lists, signature(lists), tostring(shared.row.generation)
  now.loading = 0
  local first = own
  local _, newest, word = book.change(function(edited)
    if edited.apps[generation] ~= nil then
      first = edited.apps[generation]
      return false
    end
    local live = generations()
    edited.apps[generation], edited.events = own, trigger_lists.bring_in(edited.events, mine, live)
    for each in pairs(edited.apps) do
      edited.apps[each] = live[tonumber(each)] and edited.apps[each] or nil
    end
    return true
  end)
  absorb(newest.events, word, {})
  if first ~= own then
    log.warn('the application has set other triggers in worker %d than in the first one that was'
      .. ' ready: %s instead of %s', number(), own, first)
  end
end

-- Take part, once engine/table is attached to the segment.
function triggers.attach()
  header, prefix = shared.header, trigger_lists.prefix(tonumber(shared.row.generation))
  book.attach()
  bus.on(NUDGE, refresh)
end

return triggers
