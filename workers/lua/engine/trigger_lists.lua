-- Lists of triggers when workers run several loadings of the application at once. Pure.
--
-- After a reload old and new workers serve side by side, and each has functions of its own loading
-- (its generation) only. The book keeps the entries of all of them in one list an event:
--
--   what was set at run time          id a number, with bytes        every worker
--   what generation G set when it     id 'app:G:...', no bytes       workers of that generation
--     was loaded
--
-- A worker works on a view without the others' entries. What becomes of an entry in its view
-- becomes of those of the same name in other generations.

local ipairs, pairs, tonumber = ipairs, pairs, tonumber
-- Fields of an entry, see engine/trigger_book.
local ID, NAME, BYTES = 1, 2, 3

local trigger_lists = {}

-- What the ids of a generation's entries begin with.
function trigger_lists.prefix(generation)
  return ('app:%d:'):format(generation)
end

local function is_others(entry, prefix)
  return entry[BYTES] == nil and entry[ID]:sub(1, #prefix) ~= prefix
end

-- A copy of a list as the generation with this prefix sees it.
function trigger_lists.view(list, prefix)
  local seen = {}
  for _, entry in ipairs(list) do
    if not is_others(entry, prefix) then
      seen[#seen + 1] = entry
    end
  end
  return seen
end

local function names_of(list)
  local names, own = {}, {}
  for _, entry in ipairs(list) do
    names[entry[NAME]] = true
    if entry[BYTES] == nil then
      own[entry[NAME]] = true
    end
  end
  return names, own
end

-- The whole list again, after its view has become `edited`.
function trigger_lists.put_back(list, edited, prefix)
  local before = names_of(trigger_lists.view(list, prefix))
  local after, own_after = names_of(edited)
  for _, entry in ipairs(list) do
    local name = entry[NAME]
    if is_others(entry, prefix) and (own_after[name] or not (before[name] or after[name])) then
      edited[#edited + 1] = entry
    end
  end
  return edited
end

local function is_current(entry, live)
  return entry[BYTES] ~= nil or live[tonumber(entry[ID]:match('^app:(%d+):'))] ~= nil
end

-- Bring in what a generation has set when it was loaded, behind all others, where nothing of that
-- name was set at run time; entries of generations that are not in the set `live` go.
function trigger_lists.bring_in(events, mine, live)
  local made = {}
  for event, list in pairs(events) do
    made[event] = {}
    for _, entry in ipairs(list) do
      if is_current(entry, live) then
        made[event][#made[event] + 1] = entry
      end
    end
  end
  for event, list in pairs(mine) do
    made[event] = made[event] or {}
    local names, own = names_of(made[event])
    for _, entry in ipairs(list) do
      if not names[entry[NAME]] or own[entry[NAME]] then
        made[event][#made[event] + 1] = entry
      end
    end
  end
  for event, list in pairs(made) do
    made[event] = #list > 0 and list or nil
  end
  return made
end

return trigger_lists
