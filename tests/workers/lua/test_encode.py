"""Encoding: the tables of values, the array or map decision, errors, and room in the buffer."""

from __future__ import annotations

import pytest

from tests.helpers.codec import make_codec

CODEC = make_codec()
DECODED = """
local map = {__serialize = 'map'}
local function decoded(value, change)
  local codec = require('beespace.engine.codec')
  local t = codec.unpack(codec.pack(value))
  change(t)
  return t
end
"""
SELF = "local t = {} t = setmetatable(t, {__serialize = function(v) return v end}) return t"


# Whichever entry comes first, it changes the table; the order differs from runtime to runtime.
GROWS = """
local t, done = {}, false
local function change()
  if not done then
    done = true
    %s
  end
  return 1
end
for _, key in ipairs({'a', 'b', 'c'}) do
  t[key] = setmetatable({}, {__serialize = change})
end
return t
"""


@pytest.mark.parametrize(
    ("source", "data"),
    [
        ("nil", "c0"),
        ("ffi.cast('void *', 0)", "c0"),
        ("true", "c3"),
        ("false", "c2"),
        ("ffi.new('bool', true)", "c3"),
        ("ffi.new('bool', false)", "c2"),
        ("1.0", "01"),
        ("-0.0", "00"),
        ("127", "7f"),
        ("128", "cc 80"),
        ("256", "cd 01 00"),
        ("65536", "ce 00 01 00 00"),
        ("4294967296", "cf 00 00 00 01 00 00 00 00"),
        ("2^53", "cf 00 20 00 00 00 00 00 00"),
        ("2^63", "cf 80 00 00 00 00 00 00 00"),
        ("2^64", "cb 43 f0 00 00 00 00 00 00"),
        ("-32", "e0"),
        ("-33", "d0 df"),
        ("-129", "d1 ff 7f"),
        ("-32769", "d2 ff ff 7f ff"),
        ("-2147483649", "d3 ff ff ff ff 7f ff ff ff"),
        ("-2^63", "d3 80 00 00 00 00 00 00 00"),
        ("-2^64", "cb c3 f0 00 00 00 00 00 00"),
        ("1.5", "cb 3f f8 00 00 00 00 00 00"),
        ("0/0", "cb ff f8 00 00 00 00 00 00"),
        ("-(0/0)", "cb ff f8 00 00 00 00 00 00"),
        ("1/0", "cb 7f f0 00 00 00 00 00 00"),
        ("5ULL", "05"),
        ("-1LL", "ff"),
        ("-1ULL", "cf ff ff ff ff ff ff ff ff"),
        ("4294967295ULL", "ce ff ff ff ff"),
        ("4294967296LL", "cf 00 00 00 01 00 00 00 00"),
        ("-2147483648LL", "d2 80 00 00 00"),
        ("-2147483649LL", "d3 ff ff ff ff 7f ff ff ff"),
        ("ffi.new('int8_t', -5)", "fb"),
        ("ffi.new('uint8_t', 200)", "cc c8"),
        ("ffi.new('int16_t', -300)", "d1 fe d4"),
        ("ffi.new('uint16_t', 300)", "cd 01 2c"),
        ("ffi.new('int', 9)", "09"),
        ("ffi.new('uint32_t', -1)", "ce ff ff ff ff"),
        ("ffi.new('char', 65)", "41"),
        ("ffi.new('const long', 7)", "07"),
        ("ffi.new('size_t', 7)", "07"),
        ("ffi.new('float', 1)", "ca 3f 80 00 00"),
        ("ffi.new('double', 1)", "cb 3f f0 00 00 00 00 00 00"),
        ("'a\\0'", "a2 61 00"),
        ("{}", "90"),
        ("{1, nil}", "91 01"),
        ("{nil, nil, 3}", "93 c0 c0 03"),
        ("{[5] = 1}", "95 c0 c0 c0 c0 01"),
        ("{[1]=1, [3]=3, [10]=10}", "9a 01 c0 03 c0 c0 c0 c0 c0 c0 0a"),
        ("{[11] = 1}", "81 0b 01"),
        ("{[1.5] = 1}", "81 cb 3f f8 00 00 00 00 00 00 01"),
        ("{[-1] = 1}", "81 ff 01"),
        ("{[true] = 1}", "81 c3 01"),
        ("{[math.huge] = 1}", "81 cb 7f f0 00 00 00 00 00 00 01"),
        ("setmetatable({}, {__serialize = 'map'})", "80"),
        ("setmetatable({1}, {__serialize = 'mapping'})", "81 01 01"),
        ("setmetatable({1, a = 2}, {__serialize = 'seq'})", "91 01"),
        ("setmetatable({1}, {__serialize = 'sequence'})", "91 01"),
        ("setmetatable({}, {__serialize = 'array'})", "90"),
        ("setmetatable({1}, {__serialize = 'map', __metatable = false})", "81 01 01"),
        ("setmetatable({1}, {__metatable = false})", "91 01"),
        ("setmetatable({1}, {__tostring = function() return 'x' end})", "91 01"),
        ("setmetatable({}, {__index = {1, 2}})", "90"),
        ("setmetatable({7}, {__serialize = function(t) return {t[1], t[1]} end})", "92 07 07"),
        ("setmetatable({}, {__serialize = function() end})", "c0"),
        # A forced array, as Tarantool 2.6 writes it: up to its largest positive whole key.
        ("setmetatable({1, nil, 3}, {__serialize = 'seq'})", "93 01 c0 03"),
        ("setmetatable({1, 2, 3, [7] = 7}, {__serialize = 'array'})", "97 01 02 03 c0 c0 c0 07"),
        ("setmetatable({1, 2, 3, 4, [6] = 6}, {__serialize = 'seq'})", "96 01 02 03 04 c0 06"),
        ("setmetatable({[11] = 1}, {__serialize = 'sequence'})", "9b" + " c0" * 10 + " 01"),
        ("setmetatable({1, 2, [1000] = 1}, {__serialize = 'seq'})",
         "dc 03 e8 01 02" + " c0" * 997 + " 01"),
        ("setmetatable({1, [0] = 2, [-1] = 3, [1.5] = 4}, {__serialize = 'seq'})", "91 01"),
        ("setmetatable({[true] = 1}, {__serialize = 'seq'})", "90"),
        ("setmetatable({1, 2, 3, 4, 5}, {__serialize = 'seq'})", "95 01 02 03 04 05"),
        *((f"decoded({{1, 2, 3}}, {change})", data) for change, data in (
            ("function(t) t[7] = 7 end", "97 01 02 03 c0 c0 c0 07"),
            ("function(t) t[2] = nil end", "93 01 c0 03"),
            ("function(t) t[3] = nil end", "92 01 02"),
            ("function(t) table.insert(t, 4) end", "94 01 02 03 04"),
            ("function(t) t[1] = nil t[2] = nil t[3] = nil end", "90"),
        )),
        ("decoded(setmetatable({}, map), function() end)", "80"),
        ("decoded(setmetatable({}, map), function(t) t[1] = 1 end)", "91 01"),
        ("decoded({}, function(t) t.a = 1 end)", "81 a1 61 01"),
    ],
)  # fmt: skip
def test_values(source: str, data: str) -> None:
    assert CODEC.pack(f"{DECODED} return {source}").hex(" ") == data


@pytest.mark.parametrize(
    ("source", "size"),
    [
        ("{1, 2, a = 3}", 3),
        ("decoded({1, 2, 3}, function(t) t.a = 7 end)", 4),
        ("decoded({1}, function(t) t[1000] = 7 end)", 2),
        ("{[0] = 1, [1] = 2}", 2),
        ("{[1]=1, [11]=11}", 2),
    ],
)
def test_tables_that_are_maps(source: str, size: int) -> None:
    assert CODEC.pack(f"{DECODED} return {source}")[0] == 0x80 + size


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("return print", "unsupported Lua type 'function'"),
        ("return {{print}}", "unsupported Lua type 'function'"),
        ("return coroutine.create(print)", "unsupported Lua type 'thread'"),
        ("return newproxy(true)", "unsupported Lua type 'userdata'"),
        ("return ffi.new('int[2]')", "unsupported Lua type 'cdata'"),
        ("return ffi.new('struct { int x; }')", "unsupported Lua type 'cdata'"),
        ("return ffi.cast('void *', 4)", "unsupported Lua type 'cdata'"),
        ("return ffi.cast('char *', 0)", "unsupported Lua type 'cdata'"),
        ("return ffi.typeof('int')", "unsupported Lua type 'cdata'"),
        ("return ffi.typeof('bool')", "unsupported Lua type 'cdata'"),
        ("return ffi.typeof('uint64_t')", "unsupported Lua type 'cdata'"),
        ("return setmetatable({}, {__serialize = 5})", "invalid __serialize value"),
        ("return setmetatable({}, {__serialize = 'x'})", "invalid __serialize value"),
        ("return setmetatable({}, {__serialize = function() error('no', 0) end})", "no"),
        (SELF, "Too high nest level - 129"),
        ("local t = {} t[1] = t return t", "Too high nest level - 129"),
        ("local t = {} t.a = t return t", "Too high nest level - 129"),
        ("local t = {} for _ = 1, 128 do t = {t} end return t", "Too high nest level - 129"),
        ("return ('x'):rep(268435456)", "response too large"),
        ("return setmetatable({[2^31] = 1}, {__serialize = 'seq'})", "response too large"),
        (
            "return setmetatable({[2^32] = 1}, {__serialize = 'seq'})",
            "array is too long: its largest index is 4294967296, the limit is 4294967295",
        ),
        (GROWS % "for k = 1, 50 do t['n' .. k] = k end", "table changed while it was encoded"),
        (GROWS % "t.a = nil t.b = nil t.c = nil", "table changed while it was encoded"),
    ],
)
def test_errors(source: str, text: str) -> None:
    assert CODEC.error(source) == text


def test_128_levels_pass() -> None:
    deepest = CODEC.pack("local t = {} for _ = 1, 127 do t = {t} end return t")
    assert deepest == b"\x91" * 127 + b"\x90"


FILL = CODEC.runtime.execute(
    """
    local ffi = require('ffi')
    local encoder = require('beespace.engine.encode')
    local uuid, varbinary = require('uuid'), require('varbinary')
    local values = {
      5, -40, 70000, 2^40, 1.5, 'text', ('t'):rep(300), {1, 2}, {a = 'b'}, true, 5ULL, -2^40 * 1LL,
      ffi.new('float', 1), uuid.new(), varbinary.new('bytes'), {1, {2, {3, ('x'):rep(40)}}},
    }
    -- Write each value at the end of a buffer of every size that is too small or just enough.
    return function()
      local bytes = ffi.new('uint8_t[1024]')
      local o = ffi.cast('uint8_t *', bytes)
      local fitted = 0
      for _, value in ipairs(values) do
        for cap = 0, 400 do
          ffi.fill(bytes, 1024, 0xa5)
          encoder.limits.cap = cap
          local ok, w = pcall(encoder.encode, o, 0, value, 0)
          assert(ok or w == encoder.FULL, w)
          fitted = fitted + (ok and 1 or 0)
          for k = cap, 1023 do
            assert(bytes[k] == 0xa5, 'written behind the end')
          end
        end
      end
      return fitted, #values
    end
    """
)


def test_no_write_behind_the_end() -> None:
    fitted, values = CODEC.runtime.call(FILL)
    assert 300 * values < fitted < 400 * values


def test_registered_types_and_their_references() -> None:
    source = """
    local encode = require('beespace.engine.encode')
    local ctype = ffi.typeof('struct { int x; }')
    encode.register(ctype, function(o, w, v) return encode.uint(o, w, v.x) end)
    local array = ffi.new(ffi.typeof('$[2]', ctype))
    array[1].x = 8
    return {ctype(7), array[1], ffi.new(ffi.typeof('const $', ctype), {9})}"""
    assert CODEC.pack(source) == b"\x93\x07\x08\x09"


def test_serialize_of_cdata() -> None:
    source = """
    local methods = {__serialize = function(self) return self.v end}
    return ffi.metatype('struct { int v; }', {__index = methods})(7)"""
    assert CODEC.pack(source) == b"\x07"


def test_a_serializer_that_yields_leaves_the_room_of_others_alone() -> None:
    source = """
    local codec = require('beespace.engine.codec')
    local limits = require('beespace.engine.encode').limits
    limits.cap, limits.shared = 4096, 4096
    local function packing(value)
      local object = setmetatable({}, {__serialize = function()
        coroutine.yield(limits.cap)
        return value
      end})
      return coroutine.wrap(function() return #codec.pack({object}) end)
    end
    local one, two = packing(1), packing(('x'):rep(3000000))
    local rooms = {one(), two()}
    rooms[3] = one()
    rooms[4] = two()
    return rooms[1], rooms[2], rooms[3], rooms[4], limits.cap
    """
    runtime = make_codec().runtime
    # The large text does not fit into the first buffer: its function is asked again, and yields.
    assert runtime.execute(source) == (4096, 4096, 2, 4096, 4096)


def test_an_array_that_changes_keeps_the_length_it_began_with() -> None:
    source = """
    local t = {1, 2, 3}
    t[1] = setmetatable({}, {__serialize = function() t[3] = nil t[9] = 9 return 7 end})
    return t"""
    assert CODEC.pack(source) == b"\x93\x07\x02\xc0"


def test_a_map_whose_keys_have_an_order() -> None:
    source = """
    local mt = {__serialize = 'map', __keys = {'name', 'type', 'more'}}
    return setmetatable({type = 1, more = 3, name = 2}, mt)"""
    assert CODEC.pack(source) == b"\x83\xa4name\x02\xa4type\x01\xa4more\x03"
