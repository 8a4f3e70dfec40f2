-- The slow and complete half of reading packets: any header, any body.
--
-- Called by engine/request.lua for what its short cuts do not know, and by the handlers of the
-- rarer request types for their bodies. Each function raises what the protocol says about
-- malformed input; the loop turns it into the answer.
--
--   header (any key order and width) -> body is whole MessagePack -> schema version -> body by type

local bit = require('bit')
local ffi = require('ffi')
local complaints = require('beespace.engine.complaints')
local const = require('beespace.engine.const')
local decode = require('beespace.engine.decode')
local errors = require('beespace.box.error')
local state = require('beespace.engine.state')

local bswap = bit.bswap
local cast, error, pcall, tonumber = ffi.cast, error, pcall, tonumber
local kind = const.kind
local keys, value_type = const.key, const.value_type
local BAD = decode.BAD
local st = state.st

local packet = {}

local function bad_header()
  st.bad = st.bad + 1
  complaints.about('packet header')
  error(errors.client('INVALID_MSGPACK', 'packet header'))
end

-- Raise the error for a body without a mandatory key.
function packet.missing(name)
  error(errors.client('MISSING_REQUEST_FIELD', name))
end

-- Size of the map at `at` and where its first key is; nil when there is no map.
local function map_head(p, at, e)
  if at >= e then
    return nil
  end
  local first = p[at]
  if first >= 0x80 and first < 0x90 then
    return first - 0x80, at + 1
  elseif first == 0xde and at + 3 <= e then
    return decode.be16(p, at + 1), at + 3
  elseif first == 0xdf and at + 5 <= e then
    return decode.ube32(p, at + 1), at + 5
  end
  return nil
end

-- One header entry at `at`: key, value (nil for keys that carry nothing we use), next.
local function header_entry(p, at, e)
  if at >= e or kind(p[at]) ~= 'uint' then
    bad_header()
  end
  local key, value
  key, at = decode.decode(p, at, e, 0)
  if at >= e then
    bad_header()
  end
  key = tonumber(key)
  if key > const.LAST_KEY then
    return nil, nil, decode.skip(p, at, e)
  end
  local wanted = value_type[key] or 'nil'
  if wanted ~= kind(p[at]) and wanted ~= 'any' then
    bad_header()
  end
  if value_type[key] == 'uint' then
    value, at = decode.decode(p, at, e, 0)
    return key, value, at
  end
  return key, nil, decode.skip(p, at, e)
end

local function read_header(p, i, e)
  local size, at = map_head(p, i, e)
  if size == nil then
    bad_header()
  end
  local code, schema, stream = 0, 0, 0
  for _ = 1, size do
    local key, value
    key, value, at = header_entry(p, at, e)
    if key == keys.REQUEST_TYPE then
      code = value
    elseif key == keys.SYNC then
      st.sync = bswap(cast('uint64_t', value))
    elseif key == keys.SCHEMA_VERSION then
      schema = value
    elseif key == keys.STREAM_ID then
      stream = value
    end
  end
  return at, code, schema, stream
end

-- Any header at p[i..e), the body behind it checked as MessagePack: type and start of the body.
function packet.header(p, i, e)
  st.stream = 0
  local ok, at, code, schema, stream = pcall(read_header, p, i, e)
  if not ok then
    if at == BAD then
      bad_header()
    end
    error(at, 0)
  end
  if at < e and decode.skip(p, at, e) ~= e then
    error(BAD)
  end
  if schema ~= 0 and schema ~= const.SCHEMA_VERSION then
    error(errors.client('WRONG_SCHEMA_VERSION', tonumber(schema), const.SCHEMA_VERSION))
  end
  st.stream = tonumber(stream)
  return code, at
end

-- Raise when a request of this type may not be sent in a stream, or only in one.
function packet.check_stream(code)
  code = tonumber(code)
  local in_none, in_one = const.out_of_stream[code], const.transaction_types[code]
  if in_none ~= nil and st.stream ~= 0 then
    error(errors.client('UNABLE_TO_PROCESS_IN_STREAM', in_none))
  elseif in_one ~= nil and st.stream == 0 then
    error(errors.client('UNABLE_TO_PROCESS_OUT_OF_STREAM', in_one))
  end
end

-- The entries of a body map: calls visit(key, at) for every known key, whose type is checked.
-- Keys that are not unsigned integers are malformed, except where `lenient`.
local function read_body(p, at, e, lenient, visit)
  if at >= e then
    error(errors.client('INVALID_MSGPACK', 'missing request body'))
  end
  local size
  size, at = map_head(p, at, e)
  if size == nil then
    error(BAD)
  end
  for _ = 1, size do
    local is_key = at < e and kind(p[at]) == 'uint'
    if not is_key and not lenient then
      error(BAD)
    end
    local key
    key, at = decode.decode(p, at, e, 0)
    local wanted = is_key and value_type[tonumber(key)]
    if wanted and at < e then
      if wanted ~= kind(p[at]) and wanted ~= 'any' then
        error(BAD)
      end
      visit(tonumber(key), at)
    end
    at = decode.skip(p, at, e)
  end
  if at ~= e then
    error(BAD)
  end
end

-- The known keys of a body as a table key -> value.
function packet.fields(p, at, e, lenient)
  local found = {}
  read_body(p, at, e, lenient, function(key, where)
    found[key] = (decode.decode(p, where, e, 0))
  end)
  return found
end

-- Body of a CALL or EVAL in any form: the text under key `wanted`, and the list of arguments with
-- their count.
function packet.call_body(p, at, e, wanted, field)
  local text, where_arguments = nil, nil
  read_body(p, at, e, false, function(key, where)
    if key == wanted then
      text = (decode.decode(p, where, e, 0))
    elseif key == keys.TUPLE then
      where_arguments = where
    end
  end)
  if text == nil then
    packet.missing(field)
  end
  local arguments, count = {}, 0
  if where_arguments ~= nil then
    count, at = packet.array_head(p, where_arguments, e)
    for index = 1, count do
      arguments[index], at = decode.decode(p, at, e, 0)
    end
  end
  return text, arguments, count
end

-- Count of the array at `at` and where its first element is; BAD when there is no array, or when it
-- claims more than is left.
function packet.array_head(p, at, e)
  local first = p[at]
  local count
  if first >= 0x90 and first < 0xa0 then
    count = first - 0x90
    at = at + 1
  elseif first == 0xdc then
    count = decode.be16(p, at + 1)
    at = at + 3
  elseif first == 0xdd then
    count = decode.ube32(p, at + 1)
    at = at + 5
  else
    error(BAD)
  end
  if count > e - at then
    error(BAD)
  end
  return count, at
end

return packet
