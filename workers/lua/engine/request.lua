-- One packet: header, body, the function it asks for, the answer.
--
--   execute(at)   the packet input[at .. st.i), its answer at output+st.w; returns the end of the
--                 answer, or LOST
--
-- Buffers are constants and the packet's end is in the state, so little is handed from function to
-- function: LuaJIT gives up on side traces that inherit too many values.
--
-- The common shapes (two or three header keys, a body of name and arguments, up to three
-- arguments) are read straight into locals; everything else goes through engine/packet.lua and
-- handlers.lua. The user's function runs only after the last byte of the packet was checked. An
-- error is raised: the loop answers it.
--
-- Reads beyond `e` stay inside the input buffer, which is longer than any packet; where a packet
-- really ends is compared before anything read is used.

local bit = require('bit')
local ffi = require('ffi')
local access = require('beespace.engine.access')
local answer = require('beespace.engine.answer')
local call = require('beespace.engine.call')
local const = require('beespace.engine.const')
local decode = require('beespace.engine.decode')
local flight = require('beespace.engine.flight')
local handlers = require('beespace.engine.handlers')
local override = require('beespace.engine.override')
local packet = require('beespace.engine.packet')
local reply = require('beespace.engine.reply')
local state = require('beespace.engine.state')
local sys = require('beespace.engine.sys')

local band, lshift, rshift = bit.band, bit.lshift, bit.rshift
local cast, to_string, error, unpack = ffi.cast, ffi.string, error, unpack
local i32p = ffi.typeof('int32_t *')
local u64p = ffi.typeof('uint64_t *')
local decode_value = decode.decode
local array_head = packet.array_head
local resolve_bytes, compile_bytes = call.resolve_bytes, call.compile_bytes
local begin, finish = reply.begin, reply.finish
local results = answer.results
local overridden = override.run
local SCHEMA_VERSION = const.SCHEMA_VERSION
local PING, CALL, EVAL = const.type.PING, const.type.CALL, const.type.EVAL
local TUPLE = const.key.TUPLE
local BAD = decode.BAD
local p, o = state.input, state.output
local st, cur = state.st, state.cur

-- A header that starts with its type: 82 or 83, 00, a type below 0x80, 01, as one word.
local HEAD_MASK = bit.tobit(0xff80fffe)
local TYPE_FIRST = 0x01000082
-- A header that starts with its sync: 82 or 83, 01.
local SYNC_FIRST = 0x0182

-- A body of two entries whose first key is the name or the source: 82 and that key.
local NAME_BODY = 0x82 + 0x100 * const.key.FUNCTION_NAME
local EXPR_BODY = 0x82 + 0x100 * const.key.EXPR
-- The head of a str of up to 255 bytes, less the head of an empty short one.
local LONG_STR = 0xd9 - 0xa0
local LONGEST_SHORT = 31

local request = {}

-- How an unsigned integer is read, by its first byte: where its bytes begin, how many bits the
-- eight bytes from there are shifted to be the big-endian 64-bit form, and how long it is. All
-- forms take the same way, so LuaJIT does not record the rest of the request once for each of
-- them.
local skips = sys.lasting('uint8_t', 256)
local shifts = sys.lasting('uint8_t', 256)
local sizes = sys.lasting('uint8_t', 256)
local NOT_UNSIGNED = 255

local function fill_forms()
  for first = 0, 255 do
    shifts[first] = first < 0x80 and 56 or NOT_UNSIGNED
    sizes[first] = 1
  end
  for width = 0, 3 do
    local bytes = lshift(1, width)
    skips[0xcc + width] = 1
    shifts[0xcc + width] = 64 - 8 * bytes
    sizes[0xcc + width] = 1 + bytes
  end
end

fill_forms()

-- Read a sync at `at` into the state; where it ends, -1 when there is no unsigned integer.
local function read_sync(at)
  local first = p[at]
  local shift = shifts[first]
  if shift == NOT_UNSIGNED then
    return -1
  end
  st.sync = lshift(cast(u64p, p + at + skips[first])[0], shift)
  return at + sizes[first]
end

-- Type and end of a header {type, sync[, schema version]} in either order; the end is -1 otherwise.
-- The first four bytes are compared at once: map head, key 0, type, key 1.
local function read_header(i)
  local head = cast(i32p, p + i)[0]
  local code, at
  if band(head, HEAD_MASK) == TYPE_FIRST then
    code = rshift(head, 16) - 0x100
    at = read_sync(i + 4)
  elseif band(head, 0xfffe) == SYNC_FIRST then
    at = read_sync(i + 2)
    if at < 0 or p[at] ~= 0 or p[at + 1] >= 0x80 then
      return -1, -1
    end
    code = p[at + 1]
    at = at + 2
  else
    return -1, -1
  end
  if band(head, 1) == 1 and at >= 0 then
    if p[at] == 5 and (p[at + 1] == 0 or p[at + 1] == SCHEMA_VERSION) then
      return code, at + 2
    end
    return -1, -1
  end
  return code, at
end

-- Raise unless the user may evaluate, or call the function of this name.
local function check(code, text, length)
  if code == EVAL then
    access.check_eval()
  else
    access.check_call(to_string(p + text, length))
  end
end

-- What a text of the packet asks for: the chunk of a source, or the function of a name and for a
-- method the object to pass first.
local function target(code, text, length)
  if cur.rights == 0 or st.generation[0] ~= st.catalog then
    check(code, text, length)
  end
  if code == EVAL then
    return compile_bytes(p, text, length), nil
  end
  return resolve_bytes(p, text, length)
end

-- More than three arguments.
local function run_many(code, text, length, at, count)
  local arguments = {}
  for index = 1, count do
    arguments[index], at = decode_value(p, at, st.i, 0)
  end
  if at ~= st.i then
    error(BAD)
  end
  local found, object = target(code, text, length)
  if object ~= nil then
    return results(found(object, unpack(arguments, 1, count)))
  end
  return results(found(unpack(arguments, 1, count)))
end

-- Decode the arguments at `at`, which end the packet, and call what the text asks for with them.
-- One straight way for each count: where such ways join again, LuaJIT gives up on the side traces.
local function run(code, text, length, at)
  local count
  count, at = array_head(p, at, st.i)
  if count == 0 then
    if at ~= st.i then
      error(BAD)
    end
    local found, object = target(code, text, length)
    if object ~= nil then
      return results(found(object))
    end
    return results(found())
  elseif count > 3 then
    return run_many(code, text, length, at, count)
  end
  local first
  first, at = decode_value(p, at, st.i, 0)
  if count == 1 then
    if at ~= st.i then
      error(BAD)
    end
    local found, object = target(code, text, length)
    if object ~= nil then
      return results(found(object, first))
    end
    return results(found(first))
  end
  local second
  second, at = decode_value(p, at, st.i, 0)
  if count == 2 then
    if at ~= st.i then
      error(BAD)
    end
    local found, object = target(code, text, length)
    if object ~= nil then
      return results(found(object, first, second))
    end
    return results(found(first, second))
  end
  local third
  third, at = decode_value(p, at, st.i, 0)
  if at ~= st.i then
    error(BAD)
  end
  local found, object = target(code, text, length)
  if object ~= nil then
    return results(found(object, first, second, third))
  end
  return results(found(first, second, third))
end

-- CALL and EVAL: {name or source, arguments}, the text no longer than engine/texts recognises.
local function call_or_eval(code, at)
  local key = code == CALL and NAME_BODY or EXPR_BODY
  local head = cast(i32p, p + at)[0]
  local text, length = at + 3, band(rshift(head, 16), 0xff) - 0xa0
  if length == LONG_STR then
    text, length = at + 4, rshift(head, 24)
  elseif length > LONGEST_SHORT then
    length = 0
  end
  local last = text + length
  if band(head, 0xffff) ~= key or length <= 0 or last >= st.i or p[last] ~= TUPLE then
    return handlers.call(code, p, at, st.i)
  end
  return run(code, text, length, last + 1)
end

-- Execute the packet input[i .. st.i); the end of its answer, which begins at st.w, or LOST when
-- the request has waited and is answered.
function request.execute(i)
  local code, at = read_header(i)
  if at < 0 or at > st.i then
    st.sync = 0
    code, at = packet.header(p, i, st.i)
    if st.stream ~= 0 and st.away == 0 and flight.gate(i) then
      return st.w
    end
  else
    st.stream = 0
  end
  st.at = at
  if st.overrides ~= 0 then
    local w = overridden(code, i, at)
    if w ~= nil then
      return w
    end
  end
  if code == CALL or code == EVAL then
    if code == CALL then
      st.calls = st.calls + 1
    else
      st.evals = st.evals + 1
    end
    local w = call_or_eval(code, at)
    if w < 0 then
      return w
    end
    return finish(o, st.w, w)
  elseif code == PING and at == st.i then
    st.pings = st.pings + 1
    local w = begin(o, st.w, st.sync)
    o[w] = 0x80
    return finish(o, st.w, w + 1)
  end
  return handlers.other(code, p, at, st.i, o, st.w)
end
flight.execute = request.execute

return request
