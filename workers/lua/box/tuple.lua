-- Tuples: rows as applications see them, and box.tuple.
--
-- A tuple is a table with the fields at 1, 2, 3, ... and a metatable that knows their names, so
-- that t[1], t.name, #t, ipairs(t) and pairs(t) do what is expected of them; as a value that is
-- encoded it is an array. Rows of box/space are such tuples, each a copy of its own.
--
--   tuple.make(row, format)   a tuple of a row that nobody may change, names by the format
--   tuple.api                 box.tuple

local codec = require('beespace.engine.codec')
local decode = require('beespace.engine.decode')
local errors = require('beespace.box.error')

local NULL = decode.NULL
local concat, floor, max = table.concat, math.floor, math.max
local error, getmetatable, ipairs, next, pairs = error, getmetatable, ipairs, next, pairs
local rawget, select, setmetatable, tostring = rawget, select, setmetatable, tostring
local type, unpack = type, unpack

-- What only the metatables of tuples have: their list of names.
local NAMES = {}

local tuple, methods = {}, {}

local function is(value)
  local mt = type(value) == 'table' and getmetatable(value)
  return type(mt) == 'table' and rawget(mt, NAMES) ~= nil
end
tuple.is = is

local function check(value, usage)
  if not is(value) then
    error('Usage: tuple:' .. usage, 3)
  end
end

-- Text ------------------------------------------------------------------------------------

local text_of

local function text_of_table(value)
  local mt = getmetatable(value)
  local how = mt ~= nil and rawget(mt, '__serialize') or nil
  local parts = {}
  if how == 'map' or how == nil and next(value) ~= nil and #value == 0 then
    for key, each in pairs(value) do
      parts[#parts + 1] = ('%s: %s'):format(text_of(key), text_of(each))
    end
    table.sort(parts)
    return '{' .. concat(parts, ', ') .. '}'
  end
  for place, each in ipairs(value) do
    parts[place] = text_of(each)
  end
  return '[' .. concat(parts, ', ') .. ']'
end

function text_of(value)
  if value == nil then
    return 'null'
  elseif type(value) == 'string' then
    return ("'%s'"):format(value)
  elseif type(value) == 'table' then
    return text_of_table(value)
  end
  return (tostring(value):gsub('U?LL$', ''))
end

-- Metatables ------------------------------------------------------------------------------

local function changed()
  error('a tuple cannot be changed', 2)
end

local function metatable(names)
  local places = {}
  for place, name in ipairs(names) do
    places[name] = place
  end
  return {
    [NAMES] = names,
    __index = function(fields, key)
      local place = places[key]
      if place ~= nil then
        return rawget(fields, place)
      end
      return methods[key]
    end,
    __newindex = changed,
    __serialize = 'seq',
    __tostring = text_of_table,
  }
end

local unnamed = metatable({})
-- Metatables by format.
local made_for = setmetatable({}, {__mode = 'k'})

local function metatable_for(format)
  local mt = made_for[format]
  if mt == nil then
    local names = {}
    for place, field in ipairs(format) do
      names[place] = field.name
    end
    mt = metatable(names)
    made_for[format] = mt
  end
  return mt
end

local function copy(value)
  if type(value) ~= 'table' then
    return value
  end
  local made = {}
  for key, each in pairs(value) do
    made[key] = copy(each)
  end
  return setmetatable(made, getmetatable(value))
end

-- A tuple with the fields of a row.
function tuple.make(row, format)
  local fields = {}
  for place = 1, #row do
    fields[place] = copy(row[place])
  end
  return setmetatable(fields, metatable_for(format))
end

-- Methods ---------------------------------------------------------------------------------

-- First and last place of a part of a tuple, as its caller counts them.
local function part(fields, from, to)
  if from ~= nil and from < 1 then
    error('tuple.totable: invalid second argument', 3)
  elseif to ~= nil and to < (from or 1) then
    error('tuple.totable: invalid third argument', 3)
  end
  return from or 1, to ~= nil and to < #fields and to or #fields
end

function methods.totable(fields, from, to)
  check(fields, 'totable([from[, to]])')
  local result = {}
  local first, last = part(fields, from, to)
  for place = first, last do
    result[place - first + 1] = fields[place]
  end
  return setmetatable(result, decode.seq_mt)
end

function methods.unpack(fields, from, to)
  check(fields, 'unpack([from[, to]])')
  return unpack(fields, part(fields, from, to))
end

-- A map of names and, unless names_only, numbers to fields.
function methods.tomap(fields, options)
  check(fields, 'tomap([options])')
  local result = {}
  local names = getmetatable(fields)[NAMES]
  local only_names = type(options) == 'table' and options.names_only
  for place, field in ipairs(fields) do
    if names[place] ~= nil then
      result[names[place]] = field
    end
    if not only_names then
      result[place] = field
    end
  end
  return result
end

local function offset(value, size)
  return value < 0 and value + size or value
end

-- The fields from place `from` on, counted from 0, up to but without `to`; below 0 from the end.
function methods.slice(fields, from, to)
  check(fields, 'slice(start[, end])')
  if type(from) ~= 'number' then
    error('tuple.slice(): bad arguments', 2)
  end
  local first, last = offset(from, #fields), offset(to or #fields, #fields)
  if first < 0 or first >= #fields then
    error('tuple.slice(): start >= field count', 2)
  elseif last > #fields then
    error('tuple.slice(): end > field count', 2)
  elseif last <= first then
    error('tuple.slice(): start must be less than end', 2)
  end
  return unpack(fields, first + 1, last)
end

-- The places of fields that equal a value, behind the first `skip`.
local function places_of(fields, ...)
  local skip, value = 0, (...)
  if select('#', ...) > 1 then
    skip, value = ...
  end
  local found = {}
  for place = max(floor(skip), 0) + 1, #fields do
    if fields[place] == value then
      found[#found + 1] = place
    end
  end
  return found
end

-- find([skip, ]value): the first such place.
function methods.find(fields, ...)
  check(fields, 'find([skip, ]value)')
  return places_of(fields, ...)[1]
end

-- findall([skip, ]value): a list of all of them.
function methods.findall(fields, ...)
  check(fields, 'findall([skip, ]value)')
  return places_of(fields, ...)
end

function methods.next(fields, place)
  check(fields, 'next([place])')
  local following = (place or 0) + 1
  if fields[following] == nil and following > #fields then
    return nil
  end
  return following, fields[following]
end

function methods.pairs(fields)
  check(fields, 'pairs()')
  return ipairs(fields)
end
methods.ipairs = methods.pairs

-- Size as MessagePack.
function methods.bsize(fields)
  check(fields, 'bsize()')
  return #codec.pack(fields)
end

-- box.tuple -------------------------------------------------------------------------------

local function largest_index(list)
  local size = 0
  for key in pairs(list) do
    if type(key) ~= 'number' or key < 1 or key % 1 ~= 0 then
      error(errors.client('TUPLE_NOT_ARRAY'))
    end
    size = max(size, key)
  end
  return size
end

local function from_list(list, size)
  local fields = {}
  for place = 1, size do
    local value = list[place]
    if value == nil then
      value = NULL
    end
    fields[place] = copy(value)
  end
  return fields
end

local api = {is = is}

-- A tuple of the fields of a table or tuple, or of the arguments.
function api.new(...)
  local count = select('#', ...)
  local first = ...
  if count ~= 1 or type(first) ~= 'table' then
    return setmetatable(from_list({...}, count), unnamed)
  end
  return setmetatable(from_list(first, largest_index(first)), unnamed)
end

for name, method in pairs(methods) do
  api[name] = method
end

tuple.api = api

return tuple
