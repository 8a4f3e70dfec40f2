-- Module `msgpack`: Tarantool's functions over engine/codec.
--
-- Called by applications. decode takes a string and a position, or a `char *` and a size; positions
-- and pointers behind the value come back as second result. Everything is bounds checked, so
-- decode_unchecked is decode. The settings in cfg say how values are encoded and cannot be changed.

local ffi = require('ffi')
local codec = require('beespace.engine.codec')
local decoder = require('beespace.engine.decode')

local char_ptr, byte_ptr = ffi.typeof('const char *'), ffi.typeof('uint8_t *')

local SETTINGS = {
  decode_invalid_numbers = true,
  decode_max_depth = 128,
  decode_save_metatables = true,
  encode_deep_as_nil = false,
  encode_invalid_as_nil = false,
  encode_invalid_numbers = true,
  encode_load_metatables = true,
  encode_max_depth = 128,
  encode_sparse_convert = true,
  encode_sparse_ratio = 2,
  encode_sparse_safe = 10,
  encode_use_tostring = false,
}

local function encode(...)
  local count = select('#', ...)
  if count == 0 then
    error('msgpack.encode: a Lua object expected', 0)
  elseif count > 1 then
    error('msgpack.encode: one argument expected, buffers are not supported', 0)
  end
  return codec.pack((...))
end

-- value, pointer behind it; raises with the function's name in front.
local function decode_pointer(pointer, size)
  if type(size) ~= 'number' or size < 0 then
    error('msgpack.decode: the size of the buffer expected as second argument', 0)
  end
  local ok, value, at = pcall(decoder.decode, ffi.cast(byte_ptr, pointer), 0, size, 0)
  if not ok then
    error(value == decoder.BAD and 'msgpack.decode: invalid MsgPack' or value, 0)
  end
  return value, pointer + at
end

local function decode(text, pos)
  if ffi.istype(char_ptr, text) then
    return decode_pointer(text, pos)
  elseif type(text) ~= 'string' then
    error("msgpack.decode: a Lua string or 'char *' expected", 0)
  end
  if pos == nil then
    pos = 1
  elseif type(pos) ~= 'number' or pos % 1 ~= 0 then
    error('msgpack.decode: an integer offset expected, got ' .. type(pos), 0)
  elseif pos < 1 or pos > #text then
    error('msgpack.decode: offset is out of bounds', 0)
  end
  return codec.unpack(text, pos)
end

-- A function that reads one header: fix is its first short form, of 16; long the first of two.
local function header_reader(name, fix, long)
  return function(pointer, size)
    if not ffi.istype(char_ptr, pointer) or type(size) ~= 'number' then
      error(('Usage: msgpack.%s(ptr, size)'):format(name), 0)
    end
    local p = ffi.cast(byte_ptr, pointer)
    local first = size >= 1 and p[0] or 0xc1
    if first >= fix and first < fix + 16 then
      return first - fix, pointer + 1
    elseif first == long and size >= 3 then
      return decoder.be16(p, 1), pointer + 3
    elseif first == long + 1 and size >= 5 then
      return decoder.ube32(p, 1), pointer + 5
    end
    local known = first == long or first == long + 1 or size < 1
    local what = known and 'invalid MsgPack' or 'unexpected msgpack type'
    error(('msgpack.%s: %s'):format(name, what), 0)
  end
end

local function configure(_, options)
  if type(options) ~= 'table' then
    error('msgpack.cfg: expected table, got ' .. type(options), 0)
  end
  for key, value in pairs(options) do
    if SETTINGS[key] == nil then
      error(('msgpack.cfg: unknown setting %s'):format(tostring(key)), 0)
    elseif SETTINGS[key] ~= value then
      error(('msgpack.cfg: %s is %s and cannot be changed to %s'):format(
        key, tostring(SETTINGS[key]), tostring(value)), 0)
    end
  end
end

local function new()
  local cfg = {}
  for key, value in pairs(SETTINGS) do
    cfg[key] = value
  end
  return {
    NULL = codec.NULL,
    array_mt = decoder.seq_mt,
    cfg = setmetatable(cfg, {__call = configure}),
    decode = decode,
    decode_array_header = header_reader('decode_array_header', 0x90, 0xdc),
    decode_map_header = header_reader('decode_map_header', 0x80, 0xde),
    decode_unchecked = decode,
    encode = encode,
    map_mt = decoder.map_mt,
  }
end

local module = new()
module.new = new
return module
