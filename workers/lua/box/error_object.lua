-- The error object itself: a cdata `struct error` and the record behind it.
--
-- Only beespace.box.error uses this file. An object is a cdata (so that type(e) == 'cdata', as
-- applications expect) that holds only a number; what it says is in the record behind that number,
-- which is dropped when the object is collected. A record: {type =, code =, message =, custom =,
-- errno =, prev =, fields =, file =, line =}.
--
-- Fields of an object: code, type, base_type, message, errno (nil when 0), prev, trace and the
-- extra fields of its type (custom_type, object_type, ...). Methods: unpack, raise, set_prev,
-- match.

local ffi = require('ffi')

local match, getinfo = string.match, debug.getinfo
local type, tostring, tonumber = type, tostring, tonumber

local NO_FILE, NO_LINE = '[C]', 4294967295

ffi.cdef('struct error { const double ref; };')

-- ref -> record; number 0 stands for an object nobody made here
local records = {[0] = {code = 0, type = 'ClientError', message = 'Unknown error'}}
local last_ref = 0
local new_object
local last_error

local M = {NO_LINE = NO_LINE}

-- The record of an object.
local function record_of(object)
  return records[object.ref] or records[0]
end

local function is(value)
  return type(value) == 'cdata' and ffi.istype('struct error', value)
end

-- An object for a record, which belongs to the object from now on.
local function make(record)
  last_ref = last_ref + 1
  records[last_ref] = record
  return new_object(last_ref)
end

-- File and line of the caller at this level, in the words of a trace.
function M.where(level)
  local info = getinfo(level + 1, 'Sl')
  if info == nil or info.currentline < 0 then
    return info and info.short_src or NO_FILE, NO_LINE
  end
  return info.short_src, info.currentline
end

-- File and line of a record; a Lua error has them in front of its text.
local function place(record)
  if record.file ~= nil then
    return record.file, record.line
  end
  if record.type == 'LuajitError' then
    local file, line = match(record.message, '^([^:\n]+):(%d+): ')
    if file ~= nil then
      return file, tonumber(line)
    end
  end
  return NO_FILE, NO_LINE
end

local function trace_of(record)
  local file, line = place(record)
  return {{file = file, line = line}}
end

local function check_method(object, usage)
  if not is(object) then
    error('Usage: ' .. usage, 3)
  end
end

local methods = {}

-- All fields in a plain table.
function methods.unpack(object)
  check_method(object, 'error:unpack()')
  local record = record_of(object)
  local result = {
    code = record.code,
    type = record.custom or record.type,
    base_type = record.type,
    message = record.message,
    errno = record.errno,
    prev = record.prev,
    trace = trace_of(record),
  }
  for name, value in pairs(record.fields or {}) do
    result[name] = value
  end
  return result
end

function methods.raise(object)
  check_method(object, 'error:raise()')
  last_error = object
  error(object)
end

-- Name the cause of this error; nil takes it away. A chain that would close is refused.
function methods.set_prev(object, cause)
  check_method(object, 'error1:set_prev(error2)')
  if cause == nil then
    record_of(object).prev = nil
    return
  end
  check_method(cause, 'error1:set_prev(error2)')
  local each = cause
  while each ~= nil do
    if each.ref == object.ref then
      error('Cycles are not allowed', 2)
    end
    each = record_of(each).prev
  end
  record_of(object).prev = cause
end

function methods.match(object, ...)
  check_method(object, 'error:match(pattern)')
  return match(record_of(object).message, ...)
end

local function message_of(object)
  return record_of(object).message
end

methods.__serialize = message_of

local getters = {
  type = function(record) return record.custom or record.type end,
  base_type = function(record) return record.type end,
  trace = trace_of,
}

local visible = {code = true, message = true, errno = true, prev = true}

new_object = ffi.metatype('struct error', {
  __gc = function(object)
    if object.ref ~= 0 then
      records[object.ref] = nil
    end
  end,
  __index = function(object, key)
    local record = record_of(object)
    if visible[key] then
      return record[key]
    end
    local getter = getters[key]
    if getter ~= nil then
      return getter(record)
    end
    local method = methods[key]
    if method == nil and record.fields ~= nil then
      return record.fields[key]
    end
    return method
  end,
  __tostring = message_of,
  __concat = function(left, right)
    return tostring(left) .. tostring(right)
  end,
})

-- The error that box.error.last() answers, nil when there is none.
function M.last()
  return last_error
end

function M.set_last(object)
  last_error = object
end

M.record_of = record_of
M.is = is
M.make = make
M.place = place
M.unpack = methods.unpack

return M
