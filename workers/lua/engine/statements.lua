-- Statements out of what a console sent: the bytes that wait, and where the next statement ends.
--
-- engine/consoles appends what it receives and takes one statement after the other. The bytes are
-- in the session's input buffer, which goes with the session:
--
--   input:  [ taken | at ... statement ... delimiter LF | next ... input_len ]
--
-- A statement ends at its delimiter followed by LF or CR, whichever comes first; the delimiter is
-- empty unless the console has set one, and what it is may change between two statements. At the
-- end of the stream the rest is a statement too, less the bytes that would have ended it: so
-- Tarantool's console reads it.

local held = require('beespace.engine.buffers')
local ffi = require('ffi')
local sys = require('beespace.engine.sys')

local C = sys.C
local buffers_of, drop_empty = held.of, held.drop_empty
local copy, to_string = ffi.copy, ffi.string
local max = math.max
local LF, CR = 10, 13
local FIRST_CAP = 4096
-- The buffer's numbers have 32 bits.
local CAP_MAX = 0xffffffff

local statements = {}

-- Reader of a session's statements: `at` begins the next one, up to `scan` no end was found.
function statements.new()
  return {at = 0, scan = 0, delimiter = ''}
end

local function free(buffers)
  C.free(buffers.input)
  buffers.input = nil
  buffers.input_len, buffers.input_cap = 0, 0
end

-- Move what is left to the head of the buffer.
local function compact(reader, buffers)
  local at = reader.at
  local left = buffers.input_len - at
  C.memmove(buffers.input, buffers.input + at, left)
  buffers.input_len = left
  reader.at, reader.scan = 0, reader.scan - at
end

-- Room for `more` bytes; false when there is no memory.
local function make_room(reader, buffers, more)
  if buffers.input ~= nil and reader.at > 0 then
    compact(reader, buffers)
  end
  local need = buffers.input_len + more
  if need <= buffers.input_cap then
    return true
  end
  local cap = max(buffers.input_cap * 2, need, FIRST_CAP)
  if cap > CAP_MAX then
    return false
  end
  local grown = C.realloc(buffers.input, cap)
  if grown == nil then
    return false
  end
  buffers.input, buffers.input_cap = grown, cap
  return true
end

-- Append bytes to what waits for a session; false when there is no memory for them.
function statements.append(reader, session, from, length)
  local buffers = buffers_of(session)
  if buffers == nil or not make_room(reader, buffers, length) then
    return false
  end
  copy(buffers.input + buffers.input_len, from, length)
  buffers.input_len = buffers.input_len + length
  return true
end

-- Whether p[from .. from + #text) is `text`.
local function is_at(p, from, text)
  for index = 1, #text do
    if p[from + index - 1] ~= text:byte(index) then
      return false
    end
  end
  return true
end

-- Position of the CR or LF that ends a statement in p[scan .. to) which begins at `at`, else nil.
local function find_end(p, at, scan, to, delimiter)
  local length = #delimiter
  for place = scan, to - 1 do
    local byte = p[place]
    if (byte == LF or byte == CR) and place - length >= at
       and is_at(p, place - length, delimiter) then
      return place
    end
  end
  return nil
end

-- The next statement, which ends at `place`, without what ends it; and its last byte.
local function take(reader, session, buffers, place)
  local at = reader.at
  local text = to_string(buffers.input + at, place - #reader.delimiter - at)
  local ending = buffers.input[place]
  reader.at, reader.scan = place + 1, place + 1
  if reader.at == buffers.input_len then
    free(buffers)
    drop_empty(session)
    reader.at, reader.scan = 0, 0
  end
  return text, ending
end

-- The next statement of a session, and the byte that ended it; nil when none is whole.
function statements.next(reader, session, delimiter)
  local buffers = session.buffers
  if buffers == nil or buffers.input == nil then
    return nil
  end
  if delimiter ~= reader.delimiter then
    reader.delimiter, reader.scan = delimiter, reader.at
  end
  local to = buffers.input_len
  local place = find_end(buffers.input, reader.at, reader.scan, to, delimiter)
  if place ~= nil then
    return take(reader, session, buffers, place)
  end
  reader.scan = to
  return nil
end

-- Bytes that wait.
function statements.waiting(reader, session)
  local buffers = session.buffers
  return buffers ~= nil and buffers.input ~= nil and buffers.input_len - reader.at or 0
end

-- What is left at the end of the stream, less what would have ended it; nil when nothing is.
function statements.rest(reader, session, delimiter)
  local length = statements.waiting(reader, session)
  if length == 0 then
    return nil
  end
  local buffers = session.buffers
  local text = to_string(buffers.input + reader.at, max(0, length - #delimiter - 1))
  free(buffers)
  drop_empty(session)
  reader.at, reader.scan = 0, 0
  return text
end

return statements
