-- What a filter of sessions may say: its keys, their values, and what is wrong with them.
--
-- engine/filters makes plans of what parse() reads. Most keys take one value or a list, which means
-- any of them; every key but limit, order and after may be turned round with not_ in front.
--
--   id, uid, worker                    numbers
--   user, listener, name               texts
--   type, state, reason                words
--   peer                               see engine/networks
--   age_gt, idle_gt, in_flight_gt      one number each
--   limit                              at most so many
--   order                              a field, '-field' for the other way
--   after                              an id: those behind it in the order of ids

local arguments = require('beespace.engine.arguments')
local networks = require('beespace.engine.networks')
local shared = require('beespace.engine.table')

local pairs, tonumber, type = pairs, tonumber, type
local refuse, shown = arguments.refuse, arguments.shown
local concat, sort = table.concat, table.sort
local MOST = 2 ^ 53 - 1

local filter_keys = {}

local function sorted_names(names)
  local list = {}
  for name in pairs(names) do
    list[#list + 1] = name
  end
  sort(list)
  return list
end

-- One value: what it is compared as, nil for a bad one.

local function number_of(value)
  local kind = type(value)
  return (kind == 'number' or kind == 'cdata') and tonumber(value) or nil
end

local function whole_number(least, most)
  return function(value)
    local number = number_of(value)
    if number ~= nil and number >= least and number <= most and number % 1 == 0 then
      return number
    end
    return nil
  end
end

local function not_negative(value)
  local number = number_of(value)
  return number ~= nil and number >= 0 and number or nil
end

local function text(value)
  return type(value) == 'string' and value or nil
end

local function pattern(value)
  return networks.pattern(value, shared.PEER_BYTES)
end

-- One of the words that stand for numbers: how it is read, and what is expected.
local function word(numbers)
  local by_word = {}
  for name, number in pairs(numbers) do
    by_word[name:lower()] = number
  end
  local expected = ("'%s'"):format(concat(sorted_names(by_word), "' or '"))
  return {function(value) return text(value) and by_word[value] end, expected}
end

local states = {CLAIMED = shared.CLAIMED, LIVE = shared.LIVE, CLOSING = shared.CLOSING}

-- Keys whose values may be a list: how one is read, and what is expected.
local LISTS = {
  id = {whole_number(1, MOST), 'the id of a session'},
  user = {text, 'the name of a user'},
  uid = {whole_number(0, 2 ^ 32 - 1), 'the number of a user'},
  peer = {pattern, "an address like '10.0.0.1', '10.0.0.1:4000' or '[::1]:4000', a network like "
    .. "'10.0.0.0/8' or '2001:db8::/32', or a text that begins with 'unix/:'"},
  type = word(shared.type),
  worker = {whole_number(0, 65535), 'the number of a worker'},
  listener = {text, "the URI of a listener or 'new'"},
  name = {text, 'the name of a session'},
  state = word(states),
  reason = word(shared.reason),
}

local SECONDS = {not_negative, 'a number of seconds from 0 on'}
local SINGLES = {
  age_gt = SECONDS,
  idle_gt = SECONDS,
  in_flight_gt = {not_negative, 'a number of requests from 0 on'},
}

local whole_id = whole_number(0, MOST)
local COUNT = {whole_id, 'a whole number from 0 on'}

local function read_one(what, key, value, kind, suffix)
  local read, expected = kind[1], kind[2]
  local found = read(value)
  if found == nil then
    refuse(what, '%s: got %s, expected %s%s', key, shown(value), expected, suffix)
  end
  return found
end

local function read_list(what, key, value, kind)
  local suffix = ', or a list of such'
  if type(value) ~= 'table' then
    return {read_one(what, key, value, kind, suffix)}
  end
  local list, count = {}, 0
  for _ in pairs(value) do
    count = count + 1
  end
  if count ~= #value then
    refuse(what, '%s: got %s, expected %s%s', key, shown(value), kind[2], suffix)
  end
  for index = 1, count do
    list[index] = read_one(what, key, value[index], kind, suffix)
  end
  return list
end

local function read_order(what, value, fields)
  local down, field = false, value
  if type(value) == 'string' and value:sub(1, 1) == '-' then
    down, field = true, value:sub(2)
  end
  if type(field) ~= 'string' or fields[field] == nil then
    refuse(what, "order: got %s, expected one of %s, or one with '-' in front", shown(value),
      concat(sorted_names(fields), ', '))
  end
  return {field = field, down = down}
end

local function unexpected(what, key, taken)
  local names = sorted_names(taken)
  refuse(what, 'unexpected key %s, expected one of %s; filters also with not_ in front', shown(key),
    concat(names, ', '))
end

local function read(what, key, value, taken)
  local name = type(key) == 'string' and key:match('^not_(.*)$') or key
  if taken[name] == nil then
    unexpected(what, key, taken)
  elseif LISTS[name] then
    return read_list(what, key, value, LISTS[name])
  elseif SINGLES[name] then
    return read_one(what, key, value, SINGLES[name], '')
  elseif key ~= name then
    unexpected(what, key, taken)
  elseif key == 'order' then
    return read_order(what, value, taken.order)
  end
  return read_one(what, key, value, COUNT, '')
end

-- The id that an argument is; raises what is wrong with it.
function filter_keys.id(what, value)
  local id = whole_id(value)
  if id == nil then
    refuse(what, 'got %s, expected the id of a session', shown(value))
  end
  return id
end

-- What a filter says: its keys with values that are lists, numbers for the single ones, and {field
-- =, down =} for the order. `what` names the function that was called; `taken` has the keys that it
-- takes, `taken.order` the fields that there are. Raises what is wrong.
function filter_keys.parse(what, filter, taken)
  local said = {}
  if filter == nil then
    return said
  elseif type(filter) ~= 'table' then
    refuse(what, 'got %s, expected a table of filters', shown(filter))
  end
  for key, value in pairs(filter) do
    said[key] = read(what, key, value, taken)
  end
  if said.after and said.order and said.order.field ~= 'id' then
    refuse(what, "after: got the order '%s', expected 'id' or '-id', in which there are pages",
      filter.order)
  end
  return said
end

return filter_keys
