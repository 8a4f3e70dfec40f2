-- MessagePack strings: pack(value) and unpack(string).
--
-- Called by everything that is not the request path: the bridge, modules/msgpack, triggers. One
-- scratch buffer serves all calls; it grows by doubling up to 256 MB and is given back to 1 MB
-- after a large value. limits.cap belongs to the request path and is put back after every call.

local ffi = require('ffi')
local decoder = require('beespace.engine.decode')
local encoder = require('beespace.engine.encode')
-- Each defines its types as it is loaded.
require('datetime')
require('decimal')
require('uuid')
require('varbinary')

local SMALL = 1048576
local LARGE = 268435456

local bytes_t = ffi.typeof('uint8_t[?]')
-- The pointer type of the request path, strings included: a trace is made for one type only.
local ptr = ffi.typeof('uint8_t *')
local BAD, decode, skip = decoder.BAD, decoder.decode, decoder.skip
local encode, FULL, limits = encoder.encode, encoder.FULL, encoder.limits
local error, pcall, type = error, pcall, type
local cast, ffi_string, ipairs = ffi.cast, ffi.string, ipairs

-- The scratch buffer while no pack is running; a pack inside a pack (from a __serialize function)
-- finds none and makes its own.
local idle = bytes_t(SMALL)

local function encode_into(buffer, size, value)
  local cap = limits.cap
  limits.cap = size
  local ok, w = pcall(encode, cast(ptr, buffer), 0, value, 0)
  limits.cap = cap
  return ok, w
end

--- A value as MessagePack. Raises the texts of engine/encode; FULL beyond 256 MB.
local function pack(value)
  local buffer, size = idle, SMALL
  idle = nil
  if buffer == nil then
    buffer = bytes_t(size)
  end
  local small = buffer
  local ok, w = encode_into(buffer, size, value)
  while not ok and w == FULL and size < LARGE do
    size = size * 2
    buffer = bytes_t(size)
    ok, w = encode_into(buffer, size, value)
  end
  idle = small
  if not ok then
    error(w, 0)
  end
  return ffi_string(buffer, w)
end

--- The same for another worker: error objects stay objects, whatever the running session's client
-- understands.
local function pack_for_worker(value)
  local before = encoder.settings.error_ext
  encoder.settings.error_ext = 1
  local ok, packed = pcall(pack, value)
  encoder.settings.error_ext = before
  if not ok then
    error(packed, 0)
  end
  return packed
end

local function check(text, pos)
  if type(text) ~= 'string' then
    error('msgpack: expected a string, got ' .. type(text), 0)
  end
  if pos < 1 or pos > #text + 1 then
    error(('msgpack: position %s is outside of a string of %d bytes'):format(pos, #text), 0)
  end
end

local function run(reader, text, pos)
  local ok, value, index = pcall(reader, cast(ptr, text), pos - 1, #text, 0)
  if not ok then
    error(value == BAD and 'msgpack.decode: invalid MsgPack' or value, 0)
  end
  -- This use of the text keeps it alive until here; the pointer into it does not.
  assert(index == nil or index <= #text)
  return value, index
end

--- The value at text[pos] (1 when absent) and the position behind it. Raises a string.
local function unpack(text, pos)
  pos = pos or 1
  check(text, pos)
  local value, index = run(decode, text, pos)
  return value, index + 1
end

--- The position behind the value at text[pos], which is checked but not made.
local function pass(text, pos)
  pos = pos or 1
  check(text, pos)
  return run(skip, text, pos) + 1
end

-- What warm_up runs: long containers first.
local function samples()
  local long, map = {}, {}
  for k = 1, 40 do
    long[k] = k
    map['key' .. k] = k
  end
  return {
    long, map, {1, 2, 3, 4}, {a = 1, b = 2, c = 3}, {1, 'text', 1.5}, {{1}, {a = true}},
    1, 'text', 1.5, true, decoder.NULL, -1, 3000000000, -3000000000, 10000000000000000,
  }
end

--- Let LuaJIT compile the codec's loops while they run long: a loop which is met first with one or
-- two turns is given up for ever. Call once, before the first request; some milliseconds.
local function warm_up()
  local bytes = bytes_t(4096)
  local buffer = cast(ptr, bytes)
  local cap = limits.cap
  limits.cap = ffi.sizeof(bytes)
  for _, value in ipairs(samples()) do
    for _ = 1, 200 do
      local size = encode(buffer, 0, value, 0)
      encode(buffer, 0, decode(buffer, 0, size, 0), 0)
      skip(buffer, 0, size)
    end
  end
  limits.cap = cap
  assert(ffi.sizeof(bytes) == 4096)
end

return {
  NULL = decoder.NULL,
  pack = pack,
  pack_for_worker = pack_for_worker,
  pass = pass,
  unpack = unpack,
  warm_up = warm_up,
}
