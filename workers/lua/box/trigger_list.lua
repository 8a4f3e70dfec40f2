-- An ordered list of functions with the calls that applications know from Tarantool.
--
--   on_event(f)         add f                  on_event()          the functions, oldest first
--   on_event(new, old)  new in old's place     on_event(nil, old)  take old away
--
-- box/ctl makes one for the end of the server. A function that stands twice runs twice.

local error, ipairs, type = error, ipairs, type

local trigger_list = {}

local function is_function_or_nil(value)
  return value == nil or type(value) == 'function'
end

local function find(list, wanted)
  for index, each in ipairs(list) do
    if each == wanted then
      return index
    end
  end
  return error('trigger reset: Trigger is not found', 0)
end

local function copy(list)
  local result = {}
  for index, each in ipairs(list) do
    result[index] = each
  end
  return result
end

-- A new list: the function that applications call, and run(call), which hands every function,
-- newest first, to `call`.
function trigger_list.new()
  local list = {}

  local function change(...)
    local new, old = ...
    if not is_function_or_nil(new) or not is_function_or_nil(old) then
      error('trigger reset: incorrect arguments', 0)
    elseif new == nil and old == nil then
      return copy(list)
    elseif old == nil then
      list[#list + 1] = new
    elseif new == nil then
      table.remove(list, find(list, old))
      return nil
    else
      list[find(list, old)] = new
    end
    return new
  end

  local function run(call)
    local all = copy(list)
    for index = #all, 1, -1 do
      call(all[index])
    end
  end

  return change, run
end

return trigger_list
