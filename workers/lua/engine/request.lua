-- One packet: header, body, the function it asks for, the answer.
--
--   execute(p, i, e, o, start)   packet p[i..e), answer at o+start; returns the end of the answer
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
local call = require('beespace.engine.call')
local const = require('beespace.engine.const')
local decode = require('beespace.engine.decode')
local handlers = require('beespace.engine.handlers')
local packet = require('beespace.engine.packet')
local reply = require('beespace.engine.reply')
local state = require('beespace.engine.state')

local bswap, lshift = bit.bswap, bit.lshift
local cast, select, type, error, unpack = ffi.cast, select, type, error, unpack
local u32p, u64p = ffi.typeof('uint32_t *'), ffi.typeof('uint64_t *')
local decode_value, be16 = decode.decode, decode.be16
local array_head = packet.array_head
local resolve, compile = call.resolve, call.compile
local begin, finish, results = reply.begin, reply.finish, reply.results
local HEAD = reply.HEAD
local SCHEMA_VERSION = const.SCHEMA_VERSION
local PING, CALL, EVAL = const.type.PING, const.type.CALL, const.type.EVAL
local FUNCTION_NAME, EXPR, TUPLE = const.key.FUNCTION_NAME, const.key.EXPR, const.key.TUPLE
local BAD = decode.BAD
local st = state.st

local request = {}

-- Read a sync at `at` into the state; where it ends, -1 for a form that is left to the slow path.
local function read_sync(p, at)
  local first = p[at]
  if first < 0x80 then
    st.sync_words[0] = 0
    st.sync_words[1] = lshift(first, 24)
    return at + 1
  elseif first == 0xcf then
    st.sync = cast(u64p, p + at + 1)[0]
    return at + 9
  elseif first == 0xce then
    st.sync_words[0] = 0
    st.sync_words[1] = cast(u32p, p + at + 1)[0]
    return at + 5
  elseif first == 0xcd then
    st.sync_words[0] = 0
    st.sync_words[1] = bswap(be16(p, at + 1))
    return at + 3
  elseif first == 0xcc then
    st.sync_words[0] = 0
    st.sync_words[1] = lshift(p[at + 1], 24)
    return at + 2
  end
  return -1
end

-- Type and end of a header {type, sync[, schema version]} in either order; the end is -1 otherwise.
local function read_header(p, i)
  local size = p[i]
  local code, at = -1, -1
  if size ~= 0x82 and size ~= 0x83 then
    return code, at
  end
  if p[i + 1] == 0 and p[i + 2] < 0x80 and p[i + 3] == 1 then
    code = p[i + 2]
    at = read_sync(p, i + 4)
  elseif p[i + 1] == 1 then
    at = read_sync(p, i + 2)
    if at >= 0 and p[at] == 0 and p[at + 1] < 0x80 then
      code = p[at + 1]
      at = at + 2
    else
      at = -1
    end
  end
  if size == 0x83 and at >= 0 then
    if p[at] == 5 and (p[at + 1] == 0 or p[at + 1] == SCHEMA_VERSION) then
      at = at + 2
    else
      at = -1
    end
  end
  return code, at
end

local function answer(o, start, ...)
  return results(o, start + HEAD, select('#', ...), ...)
end

-- The arguments from number `index` on, which end the packet, behind those that are in the list.
local function decode_rest(p, at, e, arguments, index, count)
  for number = index, count do
    arguments[number], at = decode_value(p, at, e, 0)
  end
  if at ~= e then
    error(BAD)
  end
  return arguments
end

-- A call with an object to pass first.
local function call_method(p, at, e, o, start, count, found, object)
  local arguments = decode_rest(p, at, e, {object}, 2, count + 1)
  return answer(o, start, found(unpack(arguments, 1, count + 1)))
end

-- A call with more than three arguments, two of which are decoded.
local function call_more(p, at, e, o, start, count, found, first, second)
  local arguments = decode_rest(p, at, e, {first, second}, 3, count)
  return answer(o, start, found(unpack(arguments, 1, count)))
end

-- Decode the arguments at `at`, which end the packet, and call the function with them. One
-- straight way for each count: where such ways join again, LuaJIT gives up on the side traces.
local function run(p, at, e, o, start, found, object)
  local count
  count, at = array_head(p, at, e)
  if object ~= nil then
    return call_method(p, at, e, o, start, count, found, object)
  elseif count == 0 then
    if at ~= e then
      error(BAD)
    end
    return answer(o, start, found())
  end
  local first
  first, at = decode_value(p, at, e, 0)
  if count == 1 then
    if at ~= e then
      error(BAD)
    end
    return answer(o, start, found(first))
  end
  local second
  second, at = decode_value(p, at, e, 0)
  if count == 2 then
    if at ~= e then
      error(BAD)
    end
    return answer(o, start, found(first, second))
  elseif count == 3 then
    local third
    third, at = decode_value(p, at, e, 0)
    if at ~= e then
      error(BAD)
    end
    return answer(o, start, found(first, second, third))
  end
  return call_more(p, at, e, o, start, count, found, first, second)
end

-- CALL and EVAL: {name or source, arguments}.
local function call_or_eval(code, p, at, e, o, start)
  local key = code == CALL and FUNCTION_NAME or EXPR
  local text, arguments
  if p[at] == 0x82 and p[at + 1] == key then
    text, arguments = decode_value(p, at + 2, e, 0)
    if type(text) ~= 'string' or arguments >= e or p[arguments] ~= TUPLE then
      text = nil
    else
      arguments = arguments + 1
    end
  end
  if text == nil then
    return handlers.call(code, p, at, e, o, start)
  end
  if code == EVAL then
    return run(p, arguments, e, o, start, compile(text), nil)
  end
  local found, object = resolve(text)
  return run(p, arguments, e, o, start, found, object)
end

-- Execute the packet p[i..e); the end of its answer.
function request.execute(p, i, e, o, start)
  st.sync = 0
  local code, at = read_header(p, i)
  if at < 0 or at > e then
    st.sync = 0
    code, at = packet.header(p, i, e)
  else
    st.stream = 0
  end
  if code == CALL or code == EVAL then
    begin(o, start, st.sync)
    if code == CALL then
      st.calls = st.calls + 1
    else
      st.evals = st.evals + 1
    end
    return finish(o, start, call_or_eval(code, p, at, e, o, start))
  elseif code == PING and at == e then
    st.pings = st.pings + 1
    local w = begin(o, start, st.sync)
    o[w] = 0x80
    return finish(o, start, w + 1)
  end
  return handlers.other(code, p, at, e, o, start)
end

return request
