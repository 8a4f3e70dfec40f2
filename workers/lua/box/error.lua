-- Errors: the server's own, those that user code raises, box.error, and their form on the wire.
--
-- The request path (beespace.engine) calls client() for its own errors, from() for whatever user
-- code raised and write() for the body of an error answer; applications see `api` as box.error.
-- Loading this file teaches the codec extension type 3.

local bit = require('bit')
local ffi = require('ffi')
local codes = require('beespace.box.codes')
local decode = require('beespace.engine.decode')
local encode = require('beespace.engine.encode')
local sys = require('beespace.engine.sys')
local object_of = require('beespace.box.error_object')

local format, gsub, match = string.format, string.gsub, string.match
local select, type, tostring, tonumber, pcall = select, type, tostring, tonumber, pcall
local is, make, record_of = object_of.is, object_of.make, object_of.record_of
local place, set_last, where = object_of.place, object_of.set_last, object_of.where

local LUA_ERROR = 32
local NO_LINE = object_of.NO_LINE

-- Keys of an error map on the wire.
local TYPE, FILE, LINE, MESSAGE, ERRNO, CODE, FIELDS = 0, 1, 2, 3, 4, 5, 6
local STACK = 0
local KEY_MESSAGE, KEY_STACK = 0x31, 0x52

local M = {is = is}

-- code -> {name =, format =}; name -> code
local by_code, by_name = {}, {}
for _, row in ipairs(codes) do
  by_code[row[1]] = {name = row[2], format = row[3]}
  by_name[row[2]] = row[1]
end
by_name.PASSWORD_MISMATCH = by_name.CREDS_MISMATCH

-- The server's own errors ------------------------------------------------------------------

local function own_type(code)
  if code == by_name.ILLEGAL_PARAMS then
    return 'IllegalParams'
  end
  return 'ClientError'
end

local function access_fields(access, kind, name, user)
  return {object_type = kind, object_name = name, access_type = access, user = user}
end

-- An error of the server by name or number; the arguments fill the format of the code.
function M.client(name_or_code, ...)
  local code = by_name[name_or_code] or name_or_code
  local known = by_code[code] or by_code[0]
  local ok, message = pcall(format, known.format, ...)
  local record = {code = code, type = own_type(code), message = ok and message or known.format}
  if code == by_name.ACCESS_DENIED then
    record.type = 'AccessDeniedError'
    record.fields = access_fields(...)
  end
  local object = make(record)
  set_last(object)
  return object
end

-- An error of a named type without a code of its own, e.g. FiberIsCancelled; the last error then.
function M.typed(type_name, message)
  local object = make({code = LUA_ERROR, type = type_name, message = message})
  set_last(object)
  return object
end

-- What user code raised --------------------------------------------------------------------

local function text_of(value)
  local ok, text = pcall(tostring, value)
  if ok and type(text) == 'string' then
    return text
  end
  return format('%s: error in __tostring', type(value))
end

-- A text without our own place in it: a C function that the request path calls itself names the
-- path's file and variable as its caller, which says nothing to the client.
local function foreign(text)
  local rest = match(text, '^beespace/[%w_/]+%.lua:%d+: (.*)$')
  if rest == nil then
    return text
  end
  return (gsub(rest, "^(bad argument #%d+ to )'found'", "%1'?'"))
end

-- Anything that can be raised as an error object; error objects are returned as they are.
function M.from(value)
  if is(value) then
    return value
  end
  local message = type(value) == 'string' and foreign(value) or text_of(value)
  return make({code = LUA_ERROR, type = 'LuajitError', message = message})
end

-- What to print for anything raised: the message, with its place in front where it is known.
function M.describe(value)
  local record = record_of(M.from(value))
  local file, line = place(record)
  if record.type == 'LuajitError' or line == NO_LINE then
    return record.message
  end
  return format('%s:%d: %s', file, line, record.message)
end

-- The object and its causes, outermost first, as plain tables with the keys of the wire by name.
function M.stack(object)
  local list = {}
  while object ~= nil do
    local record = record_of(object)
    local file, line = place(record)
    list[#list + 1] = {
      type = record.type, file = file, line = line, message = record.message,
      errno = record.errno or 0, code = record.code, fields = record.fields,
    }
    object = record.prev
  end
  return list
end

-- An object from a list of such tables: what a peer sent. Returns nil for an empty list.
function M.from_stack(list)
  local object
  for i = #list, 1, -1 do
    local each = list[i]
    local errno = each.errno ~= 0 and each.errno or nil
    object = make({
      code = each.code or 0, type = each.type or 'ClientError', message = each.message or '',
      errno = errno, file = each.file, line = each.line, fields = each.fields, prev = object,
      custom = each.type == 'CustomError' and each.fields and each.fields.custom_type or nil,
    })
  end
  return object
end

-- On the wire ------------------------------------------------------------------------------

local function write_pair(o, w, key, value)
  return encode.str(o, encode.uint(o, w, key), value)
end

local function write_number(o, w, key, value)
  return encode.uint(o, encode.uint(o, w, key), value % 4294967296)
end

local function write_one(o, w, each)
  w = encode.map_header(o, w, each.fields and 7 or 6)
  w = write_pair(o, w, TYPE, each.type)
  w = write_number(o, w, LINE, each.line)
  w = write_pair(o, w, FILE, each.file)
  w = write_pair(o, w, MESSAGE, each.message)
  w = write_number(o, w, ERRNO, each.errno)
  w = write_number(o, w, CODE, each.code)
  if each.fields then
    w = encode.encode(o, encode.uint(o, w, FIELDS), each.fields, 1)
  end
  return w
end

local function write_stack(o, w, object)
  local list = M.stack(object)
  w = encode.uint(o, encode.map_header(o, w, 1), STACK)
  w = encode.array_header(o, w, #list)
  for i = 1, #list do
    w = write_one(o, w, list[i])
  end
  return w
end

local function write_body(o, w, object)
  w = write_pair(o, encode.map_header(o, w, 2), KEY_MESSAGE, record_of(object).message)
  return write_stack(o, encode.uint(o, w, KEY_STACK), object)
end

-- The body of an error answer at o+w: the message and the stack. Returns its end. An error too
-- long for the buffer becomes one of the same code that says so.
function M.write(o, w, object)
  local ok, stop = pcall(write_body, o, w, object)
  if ok then
    return stop
  end
  local record = record_of(object)
  local message = format('an error of %d bytes cannot be sent: %s', #record.message, text_of(stop))
  return write_body(o, w, make({code = record.code, type = record.type, message = message}))
end

local EXT_TYPE = 3
local EXT_HEAD = 6

-- An error object as a value at o+w: extension type 3, or its message as text where the peer did
-- not ask for error objects (encode.settings.error_ext). Returns its end.
function M.write_ext(o, w, object)
  if encode.settings.error_ext == 0 then
    return encode.str(o, w, record_of(object).message)
  end
  local from = w + EXT_HEAD
  local size = write_stack(o, from, object) - from
  local to = encode.ext_header(o, w, EXT_TYPE, size)
  sys.C.memmove(o + to, o + from, size)
  return to + size
end

local wire_names = {
  [TYPE] = 'type', [FILE] = 'file', [LINE] = 'line', [MESSAGE] = 'message',
  [ERRNO] = 'errno', [CODE] = 'code', [FIELDS] = 'fields',
}
local wire_types = {
  [TYPE] = 'string', [FILE] = 'string', [LINE] = 'number', [MESSAGE] = 'string',
  [ERRNO] = 'number', [CODE] = 'number', [FIELDS] = 'table',
}

local function fits(value, wanted)
  if type(value) ~= wanted then
    return false
  end
  return wanted ~= 'number' or value % 1 == 0 and value >= -2147483648 and value < 4294967296
end

-- One error map by names, nil when a value is not what it must be; unknown keys are left out.
local function read_one(map)
  if type(map) ~= 'table' then
    return nil
  end
  local each = {}
  for key, name in pairs(wire_names) do
    local value = map[key]
    if value ~= nil and not fits(value, wire_types[key]) then
      return nil
    end
    each[name] = value
  end
  return each
end

local function read_list(p, i, n)
  local ok, map, stop = pcall(decode.decode, p, i, i + n, 1)
  local list = ok and stop == i + n and type(map) == 'table' and map[STACK]
  if type(list) ~= 'table' or #list == 0 then
    return nil
  end
  local stack = {}
  for index, map_of_one in ipairs(list) do
    stack[index] = read_one(map_of_one)
    if stack[index] == nil then
      return nil
    end
  end
  return stack
end

-- The error object in the n bytes at p+i; raises the text of an extension with a bad payload.
function M.read_ext(p, i, n)
  local stack = read_list(p, i, n)
  if stack == nil then
    error('msgpack.decode: invalid MsgPack', 0)
  end
  return M.from_stack(stack)
end

decode.ext[EXT_TYPE] = M.read_ext
encode.register(ffi.typeof('struct error'), M.write_ext)

-- box.error --------------------------------------------------------------------------------

local function custom(type_name, code, message)
  return {
    code = code, type = 'CustomError', custom = type_name, message = message,
    fields = {custom_type = type_name},
  }
end

local function from_table(options)
  local code = bit.tobit(tonumber(options.code) or 0)
  local reason = options.reason
  if type(reason) ~= 'string' and type(reason) ~= 'number' then
    reason = ''
  end
  if type(options.type) == 'string' then
    return custom(options.type, code, tostring(reason))
  end
  return {code = code, type = 'ClientError', message = tostring(reason)}
end

-- The three forms (code, ...), (type, format, ...) and {code =, reason =, type =}; nil for others.
local function record_from(first, ...)
  local kind = type(first)
  if kind == 'table' then
    return from_table(first)
  end
  local ok, message
  if kind == 'number' then
    ok, message = pcall(format, (by_code[first] or by_code[0]).format, ...)
    return ok and {code = bit.tobit(first), type = 'ClientError', message = message} or nil
  end
  if kind ~= 'string' or select('#', ...) == 0 then
    return nil
  end
  ok, message = pcall(format, ...)
  return ok and custom(first, 0, message) or nil
end

local api = {}
for name, code in pairs(by_name) do
  api[name] = code
end

local functions = {is = is}

function functions.new(...)
  local record = record_from(...)
  if record == nil then
    error('Usage: box.error.new(code, args) or box.error.new(type, args)', 2)
  end
  record.file, record.line = where(2)
  return make(record)
end

function functions.last(...)
  if select('#', ...) > 0 then
    error('box.error.last(): bad arguments', 2)
  end
  return object_of.last()
end

functions.unpack = object_of.unpack

function functions.clear(...)
  if select('#', ...) > 0 then
    error('box.error.clear(): bad arguments', 2)
  end
  set_last(nil)
end

function functions.set(...)
  if select('#', ...) == 0 then
    error('Usage: box.error.set(error)', 2)
  end
  local object = ...
  if not is(object) then
    error(format('Invalid argument #1 (error expected, got %s)', type(object)), 2)
  end
  set_last(object)
end

local function raise(_, ...)
  local count = select('#', ...)
  local object = ...
  if count == 0 then
    object = object_of.last()
    if object == nil then
      return
    end
  elseif count > 1 or not is(object) then
    local record = record_from(...)
    if record == nil then
      error('box.error(): bad arguments', 2)
    end
    record.file, record.line = where(2)
    object = make(record)
  end
  set_last(object)
  error(object)
end

M.api = setmetatable(api, {__index = functions, __call = raise})

return M
