-- Lua values to MessagePack: the writing half of the codec.
--
-- Called by the reply path, pushes and engine/codec: encode(o, w, value, 0) writes the value at
-- o[w] (uint8_t *o, w a plain number) and returns the index behind it. Before every write the room
-- is compared with limits.cap, the writable bytes of the buffer at o; the string FULL is raised
-- when it does not fit. All errors are plain strings. engine/put writes what is no table or cdata.
--
-- Other modules teach it their cdata: register(ctype, writer), writer(o, w, value) -> w.
--
-- Small arrays are written without a loop, for the reason that engine/decode gives.

local bit = require('bit')
local ffi = require('ffi')
local put = require('beespace.engine.put')

local bswap = bit.bswap
local cast, ffi_typeof, istype = ffi.cast, ffi.typeof, ffi.istype
local error, floor, next, rawget = error, math.floor, next, rawget
local pcall, tonumber, tostring, type = pcall, tonumber, tostring, type
local getmetatable = debug.getmetatable
local array_header, map_header = put.array_header, put.map_header
local full, limits = put.full, put.limits
local put32, put_double, put_negative = put.put32, put.put_double, put.put_negative
local put_number, put_uint, str = put.put_number, put.put_uint, put.str

local uint64_t = ffi.typeof('uint64_t')
local u64_ptr = ffi.typeof('uint64_t *')

local MAX_DEPTH = 128
local MAX_ITEMS = 4294967295
local TOO_DEEP = 'Too high nest level - 129'
local TOO_LONG = 'array is too long: its largest index is %.14g, the limit is 4294967295'
local CHANGED = 'table changed while it was encoded'
local INFINITY = math.huge

local bits = ffi.new('union { float f; uint32_t w; }')

--- error_ext: 1 = error objects become extension 3, 0 = their message as str. asking: 1 = code of
-- the application decides how a value is written; it must not wait, the buffer is not its own.
local settings = ffi.new('struct { uint8_t error_ext; uint8_t asking; }')

-- Writers by ctype id; false: looked at, and not encodable.
local types = {}
local registered = {}

local encode

-- The largest key and the number of entries; the largest key is infinite when one of them cannot
-- be an index.
local function measure(t)
  local size, max = 0, 0
  for k in next, t do
    size = size + 1
    if type(k) == 'number' and k >= 1 and floor(k) == k then
      if k > max then
        max = k
      end
    else
      max = INFINITY
    end
  end
  return size, max
end

-- The largest index of a table that is to be an array whatever its keys are; other keys do not
-- count.
local function find_longest(t)
  local max = 0
  for k in next, t do
    if type(k) == 'number' and k > max and floor(k) == k then
      max = k
    end
  end
  if max > MAX_ITEMS then
    error(TOO_LONG:format(max), 0)
  end
  return max
end

-- The same; keys 1, 2, 3, 4 in this order and no others need no loop.
local function longest(t)
  local k = next(t)
  if k == nil then
    return 0
  elseif k == 1 then
    k = next(t, 1)
    if k == nil then
      return 1
    elseif k == 2 then
      k = next(t, 2)
      if k == nil then
        return 2
      elseif k == 3 then
        k = next(t, 3)
        if k == nil then
          return 3
        elseif k == 4 and next(t, 4) == nil then
          return 4
        end
      end
    end
  end
  return find_longest(t)
end

-- Exactly n values, whatever a __serialize function does to t meanwhile.
local function put_array(o, w, t, n, depth)
  if w + n > limits.cap then
    full()
  end
  w = array_header(o, w, n)
  if n > 4 then
    for k = 1, n do
      w = encode(o, w, rawget(t, k), depth)
    end
    return w
  end
  if n > 0 then
    w = encode(o, w, rawget(t, 1), depth)
  end
  if n > 1 then
    w = encode(o, w, rawget(t, 2), depth)
  end
  if n > 2 then
    w = encode(o, w, rawget(t, 3), depth)
  end
  if n > 3 then
    w = encode(o, w, rawget(t, 4), depth)
  end
  return w
end

local function put_map(o, w, t, size, depth)
  w = map_header(o, w, size)
  local left = size
  for k, v in next, t do
    if left == 0 then
      error(CHANGED, 0)
    end
    left = left - 1
    w = encode(o, w, k, depth)
    w = encode(o, w, v, depth)
  end
  if left ~= 0 then
    error(CHANGED, 0)
  end
  return w
end

-- A map whose metatable lists its keys: in that order.
local function put_ordered(o, w, t, keys, depth)
  w = map_header(o, w, #keys)
  for index = 1, #keys do
    w = encode(o, w, keys[index], depth)
    w = encode(o, w, rawget(t, keys[index]), depth)
  end
  return w
end

-- What an application's function says in place of a value. It may yield, and other values may be
-- encoded before it goes on: the room is that of their buffer meanwhile, that of ours afterwards.
local function ask(serialize, v)
  local cap, asking = limits.cap, settings.asking
  limits.cap = limits.shared
  settings.asking = 1
  local ok, said = pcall(serialize, v)
  settings.asking = asking
  limits.cap = cap
  if not ok then
    error(said, 0)
  end
  return said
end

local function put_table(o, w, t, depth)
  if depth >= MAX_DEPTH then
    error(TOO_DEEP, 0)
  end
  local mt = getmetatable(t)
  local how = mt ~= nil and rawget(mt, '__serialize') or nil
  if how == nil then
    local size, max = measure(t)
    if max > 10 and max > 2 * size then
      return put_map(o, w, t, size, depth + 1)
    end
    return put_array(o, w, t, max, depth + 1)
  elseif how == 'seq' or how == 'sequence' or how == 'array' then
    return put_array(o, w, t, longest(t), depth + 1)
  elseif how == 'map' or how == 'mapping' then
    local keys = rawget(mt, '__keys')
    if keys ~= nil then
      return put_ordered(o, w, t, keys, depth + 1)
    end
    return put_map(o, w, t, (measure(t)), depth + 1)
  elseif type(how) == 'function' then
    -- Counts as a level, so that a function which returns its own argument ends.
    return encode(o, w, ask(how, t), depth + 1)
  end
  error('invalid __serialize value', 0)
end

local function unsupported(v)
  error("unsupported Lua type '" .. type(v) .. "'", 0)
end

-- The __serialize of tables that stand for what is userdata in Tarantool; consoles print their
-- text.
local function refuse()
  error("unsupported Lua type 'userdata'", 0)
end

local function index(v, key)
  return v[key]
end

-- cdata and userdata nobody registered: only their own __serialize can help.
local function put_object(o, w, v, depth)
  local ok, serialize = pcall(index, v, '__serialize')
  if not ok or type(serialize) ~= 'function' then
    unsupported(v)
  end
  if depth >= MAX_DEPTH then
    error(TOO_DEEP, 0)
  end
  return encode(o, w, ask(serialize, v), depth + 1)
end

-- The writer of a ctype seen for the first time: a qualified or renamed form of a known one.
local function find_writer(v)
  for k = 1, #registered do
    local entry = registered[k]
    if istype(entry.ctype, v) then
      return entry.writer
    end
  end
  return false
end

local function put_cdata(o, w, v, depth)
  local id = tonumber(ffi_typeof(v))
  local writer = types[id]
  if writer == nil then
    writer = find_writer(v)
    types[id] = writer
  end
  if writer then
    return writer(o, w, v, id)
  end
  return put_object(o, w, v, depth)
end

--- Write v at o[w], depth containers deep already (0 at the top); the index behind it.
function encode(o, w, v, depth)
  local kind = type(v)
  if kind == 'string' then
    return str(o, w, v)
  end
  if w + 9 > limits.cap then
    full()
  end
  if kind == 'number' then
    return put_number(o, w, v)
  elseif kind == 'boolean' then
    o[w] = v and 0xc3 or 0xc2
    return w + 1
  elseif kind == 'nil' then
    o[w] = 0xc0
    return w + 1
  elseif kind == 'table' then
    return put_table(o, w, v, depth)
  elseif kind == 'cdata' then
    return put_cdata(o, w, v, depth)
  elseif kind == 'userdata' then
    return put_object(o, w, v, depth)
  end
  unsupported(v)
end

--- Teach encode a cdata type. writer(o, w, value) -> w must check the room itself, which
-- ext_header, bin and the other writers here do. A later registration of the same type wins.
local function register(ctype, writer)
  table.insert(registered, 1, {ctype = ctype, writer = writer})
  types[tonumber(ctype)] = writer
end

-- A ctype object has the same id as its values and counts as a number, namely this id.
local function refuse_ctype(v)
  if tostring(v):sub(1, 6) == 'ctype<' then
    unsupported(v)
  end
end

local function put_cdata_int(o, w, v, id)
  local n = tonumber(v)
  if n == id then
    refuse_ctype(v)
  end
  return put_number(o, w, n)
end

-- v >= 0 is an uint64_t.
local function put_u64(o, w, v)
  if v < 4294967296ULL then
    return put_uint(o, w, tonumber(v))
  end
  o[w] = 0xcf
  cast(u64_ptr, o + w + 1)[0] = bswap(v)
  return w + 9
end

local function put_cdata_u64(o, w, v, id)
  if v == id then
    refuse_ctype(v)
  end
  return put_u64(o, w, v + 0ULL)
end

local function put_cdata_i64(o, w, v, id)
  if v >= 0LL then
    if v == id then
      refuse_ctype(v)
    end
    return put_u64(o, w, cast(uint64_t, v))
  elseif v >= -2147483648LL then
    return put_negative(o, w, tonumber(v))
  end
  o[w] = 0xd3
  cast(u64_ptr, o + w + 1)[0] = bswap(cast(uint64_t, v))
  return w + 9
end

local function put_cdata_bool(o, w, v)
  refuse_ctype(v)
  o[w] = tonumber(v) ~= 0 and 0xc3 or 0xc2
  return w + 1
end

local function put_cdata_float(o, w, v, id)
  if v == id then
    refuse_ctype(v)
  end
  o[w] = 0xca
  bits.f = v
  put32(o, w + 1, bits.w)
  return w + 5
end

local function put_cdata_double(o, w, v, id)
  local n = tonumber(v)
  if n == id then
    refuse_ctype(v)
  end
  o[w] = 0xcb
  put_double(o, w + 1, n)
  return w + 9
end

local function put_cdata_pointer(o, w, v)
  refuse_ctype(v)
  if v ~= nil then
    unsupported(v)
  end
  o[w] = 0xc0
  return w + 1
end

for _, name in ipairs({'int8_t', 'int16_t', 'int32_t', 'uint8_t', 'uint16_t', 'uint32_t'}) do
  register(ffi.typeof(name), put_cdata_int)
end
register(ffi.typeof('char'), put_cdata_int)
register(uint64_t, put_cdata_u64)
register(ffi.typeof('int64_t'), put_cdata_i64)
register(ffi.typeof('bool'), put_cdata_bool)
register(ffi.typeof('float'), put_cdata_float)
register(ffi.typeof('double'), put_cdata_double)
register(ffi.typeof('void *'), put_cdata_pointer)

return {
  FULL = put.FULL,
  array_header = put.array_header,
  bin = put.bin,
  encode = encode,
  ext_header = put.ext_header,
  limits = put.limits,
  map_header = put.map_header,
  refuse = refuse,
  register = register,
  settings = settings,
  str = put.str,
  types = types,
  uint = put.uint,
}
