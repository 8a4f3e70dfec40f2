-- Functions as bytes: how a function gets from one worker into the others, with its upvalues.
--
--   pack(f) -- heads: bytecode of each function, or "a table"; contents: upvalues, keys and values
--     |
--     v  bytes, in memory that only workers write
--   unpack(bytes) -- the same graph, and which names are missing here
--
-- Values that several functions or tables share are shared again, cycles included, and so are
-- upvalues. What every worker has by name (engine/landmarks) travels as its path. What cannot
-- travel is refused with the name of the upvalue that leads to it. engine/triggers calls this
-- file; bytecode is loaded nowhere else, and nothing that a client sends gets here.

local bytecode = require('beespace.engine.bytecode')
local codec = require('beespace.engine.codec')
local ffi = require('ffi')
local landmarks = require('beespace.engine.landmarks')

local error, ipairs, loadstring, next, pcall, type = error, ipairs, loadstring, next, pcall, type
local getfenv, getmetatable, rawget, tostring = getfenv, debug.getmetatable, rawget, tostring
local getinfo, getupvalue, setupvalue = debug.getinfo, debug.getupvalue, debug.setupvalue
local upvalueid, upvaluejoin = debug.upvalueid, debug.upvaluejoin
local dump, sub = string.dump, string.sub
local globals = _G

local shipping = {
  -- Bytes of the longest function with its upvalues.
  LIMIT = 128 * 1024,
}

-- Tags of values.
local NIL, TRUE, FALSE, NULL = 'n', 't', 'f', '0'
local NUMBER, SIGNED, UNSIGNED, TEXT, TYPED = 'd', 'i', 'u', 's', 'x'
local PATH, OBJECT = 'p', 'o'
-- Tags of objects, and of upvalues.
local TABLE, FUNCTION = 'T', 'F'
local FIRST, AGAIN = '1', '2'

local double, word, signed, unsigned =
  ffi.new('double[1]'), ffi.new('uint32_t[1]'), ffi.new('int64_t[1]'), ffi.new('uint64_t[1]')

-- Packing -----------------------------------------------------------------------------------------

local function size_text(number)
  word[0] = number
  return ffi.string(word, 4)
end

local function bytes_of(number)
  double[0] = number
  return ffi.string(double, 8)
end

local function put(ship, list, text)
  ship.size = ship.size + #text
  if ship.size > shipping.LIMIT then
    error({('it takes more than %d bytes with its upvalues'):format(shipping.LIMIT)})
  end
  list[#list + 1] = text
end

local function put_text(ship, list, text)
  put(ship, list, size_text(#text))
  put(ship, list, text)
end

-- What something is called in an error: `name` in quotes, and what it belongs to.
local function refuse(label, what)
  local who = label.name ~= nil and ("upvalue '%s'%s is "):format(label.name, label.of) or 'it is '
  error({who .. what})
end

local function upvalue_label(label, name)
  local of = ''
  if label.name ~= nil then
    of = (" of '%s'%s"):format(label.name, label.of)
  end
  return {name = name, of = of}
end

local function field_label(label, key)
  local step
  if type(key) == 'string' and key:find('^[%a_][%w_]*$') then
    step = '.' .. key
  elseif type(key) == 'string' then
    step = ('[%q]'):format(key)
  else
    step = ('[%s]'):format(tostring(key))
  end
  return {name = (label.name or '') .. step, of = label.of or ''}
end

local function put_cdata(ship, list, value, label)
  if value == nil then
    put(ship, list, NULL)
  elseif ffi.istype('int64_t', value) then
    signed[0] = value
    put(ship, list, SIGNED .. ffi.string(signed, 8))
  elseif ffi.istype('uint64_t', value) then
    unsigned[0] = value
    put(ship, list, UNSIGNED .. ffi.string(unsigned, 8))
  else
    local ok, packed = pcall(codec.pack_for_worker, value)
    if not ok then
      refuse(label, 'cdata')
    end
    put(ship, list, TYPED)
    put_text(ship, list, packed)
  end
end

local function check_table(value, label)
  if getmetatable(value) ~= nil then
    refuse(label, 'a table with a metatable')
  end
end

local function check_function(value, label)
  if getinfo(value, 'S').what == 'C' then
    refuse(label, 'a C function without a name that every worker knows')
  elseif getfenv(value) ~= globals then
    refuse(label, 'a function with an environment of its own')
  end
end

-- The number of a table or function, which is packed later when it is new.
local function number_of(ship, value, label)
  local number = ship.numbers[value]
  if number == nil then
    local check = type(value) == 'table' and check_table or check_function
    check(value, label)
    number = #ship.objects + 1
    ship.numbers[value] = number
    ship.objects[number] = {value = value, label = label}
  end
  return number
end

local function put_path(ship, list, path)
  put(ship, list, PATH .. size_text(#path))
  for _, step in ipairs(path) do
    put_text(ship, list, step)
  end
end

local function put_value(ship, list, value, label)
  local kind = type(value)
  if kind == 'nil' then
    put(ship, list, NIL)
  elseif kind == 'boolean' then
    put(ship, list, value and TRUE or FALSE)
  elseif kind == 'number' then
    put(ship, list, NUMBER .. bytes_of(value))
  elseif kind == 'string' then
    put(ship, list, TEXT)
    put_text(ship, list, value)
  elseif kind == 'cdata' then
    put_cdata(ship, list, value, label)
  elseif ship.paths[value] ~= nil then
    put_path(ship, list, ship.paths[value])
  elseif kind == 'table' or kind == 'function' then
    put(ship, list, OBJECT .. size_text(number_of(ship, value, label)))
  else
    refuse(label, kind == 'thread' and 'a coroutine' or kind)
  end
end

local function put_function(ship, each)
  local func, label = each.value, each.label
  put(ship, ship.heads, FUNCTION)
  put_text(ship, ship.heads, dump(func))
  local count = 0
  while getupvalue(func, count + 1) ~= nil do
    count = count + 1
  end
  put(ship, ship.contents, size_text(count))
  for index = 1, count do
    local cell = upvalueid(func, index)
    local known = ship.cells[cell]
    if known ~= nil then
      put(ship, ship.contents, AGAIN .. size_text(known))
    else
      ship.cell_count = ship.cell_count + 1
      ship.cells[cell] = ship.cell_count
      put(ship, ship.contents, FIRST)
      local name, value = getupvalue(func, index)
      put_value(ship, ship.contents, value,
        upvalue_label(label, name ~= '' and name or '#' .. index))
    end
  end
end

local function put_table(ship, each)
  put(ship, ship.heads, TABLE)
  local count = 0
  for _ in next, each.value do
    count = count + 1
  end
  put(ship, ship.contents, size_text(count))
  for key, value in next, each.value do
    local label = field_label(each.label, key)
    put_value(ship, ship.contents, key, label)
    put_value(ship, ship.contents, value, label)
  end
end

local function pack(func)
  local ship = {
    size = 0, heads = {}, contents = {}, objects = {}, numbers = {}, cells = {}, cell_count = 0,
    paths = landmarks.paths(),
  }
  local root = {}
  put_value(ship, root, func, {})
  local at = 1
  while at <= #ship.objects do
    local each = ship.objects[at]
    if type(each.value) == 'table' then
      put_table(ship, each)
    else
      put_function(ship, each)
    end
    at = at + 1
  end
  return table.concat(root) .. size_text(#ship.objects) .. table.concat(ship.heads)
    .. table.concat(ship.contents)
end

-- A function (or what has a path) as bytes; nil and why not otherwise.
function shipping.pack(func)
  local ok, result = pcall(pack, func)
  if ok then
    return result
  elseif type(result) == 'table' then
    return nil, result[1]
  end
  error(result, 0)
end

-- Unpacking ---------------------------------------------------------------------------------------

local function take(crate, length)
  local at = crate.at
  crate.at = at + length
  return sub(crate.bytes, at, at + length - 1)
end

local function take_size(crate)
  ffi.copy(word, take(crate, 4), 4)
  return word[0]
end

local function take_text(crate)
  return take(crate, take_size(crate))
end

local function take_number(crate, cell)
  ffi.copy(cell, take(crate, 8), 8)
  return cell[0]
end

local function take_path(crate)
  local path = {}
  for index = 1, take_size(crate) do
    path[index] = take_text(crate)
  end
  local value = landmarks.find(path)
  if value == nil then
    crate.missing[landmarks.describe(path)] = true
  end
  return value
end

local readers = {
  [NIL] = function() return nil end,
  [TRUE] = function() return true end,
  [FALSE] = function() return false end,
  [NULL] = function() return ffi.cast('void *', 0) end,
  [NUMBER] = function(crate) return take_number(crate, double) end,
  [SIGNED] = function(crate) return take_number(crate, signed) end,
  [UNSIGNED] = function(crate) return take_number(crate, unsigned) end,
  [TEXT] = take_text,
  [TYPED] = function(crate) return (codec.unpack(take_text(crate))) end,
  [PATH] = take_path,
  [OBJECT] = function(crate) return crate.objects[take_size(crate)] end,
}

local function take_value(crate)
  return readers[take(crate, 1)](crate)
end

local function take_head(crate)
  if take(crate, 1) == TABLE then
    return {}
  end
  local func, problem = loadstring(take_text(crate), '=', 'b')
  if func == nil then
    error(problem, 0)
  end
  for name in next, bytecode.globals_of(func) do
    if rawget(globals, name) == nil then
      crate.missing[name] = true
    end
  end
  return func
end

local function fill_function(crate, func)
  for index = 1, take_size(crate) do
    if take(crate, 1) == FIRST then
      crate.cells[#crate.cells + 1] = {func = func, index = index}
      setupvalue(func, index, take_value(crate))
    else
      local cell = crate.cells[take_size(crate)]
      upvaluejoin(func, index, cell.func, cell.index)
    end
  end
end

local function fill_table(crate, map)
  for _ = 1, take_size(crate) do
    local key = take_value(crate)
    local value = take_value(crate)
    -- A key whose path leads nowhere here was noted as missing.
    if key ~= nil then
      map[key] = value
    end
  end
end

-- What pack() made bytes of, and a sorted list of the globals it reads and the paths it has that
-- lead to nothing in this worker.
function shipping.unpack(bytes)
  local crate = {bytes = bytes, at = 1, objects = {}, cells = {}, missing = {}}
  -- The objects that the root may be come behind it.
  local root_at = crate.at
  local tag = take(crate, 1)
  local root = tag == PATH and take_path(crate) or nil
  if tag == OBJECT then
    take_size(crate)
  end
  local count = take_size(crate)
  for index = 1, count do
    crate.objects[index] = take_head(crate)
  end
  for index = 1, count do
    local object = crate.objects[index]
    local fill = type(object) == 'table' and fill_table or fill_function
    fill(crate, object)
  end
  if tag == OBJECT then
    crate.at = root_at
    root = take_value(crate)
  end
  local missing = {}
  for name in next, crate.missing do
    missing[#missing + 1] = name
  end
  table.sort(missing)
  return root, missing
end

return shipping
