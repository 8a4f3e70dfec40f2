"""Module msgpack: Tarantool's functions and texts."""

from __future__ import annotations

import pytest

from tests.helpers.lua import make_runtime

RUNTIME = make_runtime()
HEAD = "local msgpack, ffi = require('msgpack'), require('ffi') "


def test_functions() -> None:
    source = """
    local value, at = msgpack.decode(msgpack.encode({1, 'a'}) .. '\\5')
    assert(value[1] == 1 and value[2] == 'a' and at == 5)
    assert(select(2, msgpack.decode('\\1\\2\\3', 2)) == 3 and msgpack.decode('\\1\\2', 2) == 2)
    assert(msgpack.decode_unchecked('\\7') == 7 and msgpack.decode('\\192') == msgpack.NULL)
    assert(getmetatable(msgpack.decode('\\144')) == msgpack.array_mt)
    assert(getmetatable(msgpack.decode('\\128')) == msgpack.map_mt)
    assert(msgpack.encode(setmetatable({}, msgpack.map_mt)) == '\\128')
    local text = '\\147\\1\\2\\3\\131'
    local p = ffi.cast('const char *', text)
    local list, behind = msgpack.decode(p, 5)
    assert(#list == 3 and behind == p + 4)
    assert(msgpack.decode_array_header(p, 5) == 3 and msgpack.decode_map_header(p + 4, 1) == 3)
    assert(select(2, msgpack.decode_array_header(p, 5)) == p + 1)
    local long = '\\221\\0\\1\\0\\0'
    assert(msgpack.decode_array_header(ffi.cast('const char *', long), 5) == 65536)
    msgpack.cfg({encode_max_depth = 128})
    assert(msgpack.cfg.encode_sparse_ratio == 2 and msgpack.new().encode(5) == '\\5')
    return true"""
    assert RUNTIME.execute(HEAD + source) is True


@pytest.mark.parametrize(
    ("call", "text"),
    [
        ("encode()", "msgpack.encode: a Lua object expected"),
        ("encode(print)", "unsupported Lua type 'function'"),
        ("encode(1, 2)", "msgpack.encode: one argument expected, buffers are not supported"),
        ("decode()", "msgpack.decode: a Lua string or 'char *' expected"),
        ("decode(5)", "msgpack.decode: a Lua string or 'char *' expected"),
        ("decode('')", "msgpack.decode: invalid MsgPack"),
        ("decode('\\147\\1')", "msgpack.decode: invalid MsgPack"),
        ("decode('\\193')", "msgpack.decode: invalid MsgPack"),
        ("decode('\\1', 0)", "msgpack.decode: offset is out of bounds"),
        ("decode('\\1', 2)", "msgpack.decode: offset is out of bounds"),
        ("decode('\\1', 'x')", "msgpack.decode: an integer offset expected, got string"),
        ("decode('\\212\\1\\1')", "msgpack.decode: invalid MsgPack"),
        ("decode('\\212\\32\\1')", "msgpack.decode: unsupported extension: 32"),
        ("decode(ffi.cast('const char *', '\\147'), 1)", "msgpack.decode: invalid MsgPack"),
        ("decode_array_header('x')", "Usage: msgpack.decode_array_header(ptr, size)"),
        ("decode_array_header(ffi.cast('const char *', '\\1'), 1)",
         "msgpack.decode_array_header: unexpected msgpack type"),
        ("decode_map_header(ffi.cast('const char *', '\\222'), 1)",
         "msgpack.decode_map_header: invalid MsgPack"),
        ("cfg(5)", "msgpack.cfg: expected table, got number"),
        ("cfg({nope = 1})", "msgpack.cfg: unknown setting nope"),
        ("cfg({encode_max_depth = 5})",
         "msgpack.cfg: encode_max_depth is 128 and cannot be changed to 5"),
    ],
)  # fmt: skip
def test_errors(call: str, text: str) -> None:
    source = f"return select(2, pcall(function() return msgpack.{call} end))"
    assert RUNTIME.execute(HEAD + source).decode().endswith(text)


@pytest.mark.parametrize(
    "call",
    ["require('msgpack').decode_array_header('x')", "require('msgpack').decode(5)",
     "require('uuid').fromstr(5)", "require('uuid').new():bin('x')", "require('decimal').new({})",
     "require('decimal').new(1) + {}", "require('datetime').new({year = 'x'})",
     "require('datetime').new({tzoffset = 'x'})", "require('datetime').interval.new(5)",
     "require('datetime').interval.new({day = 'x'})", "require('varbinary').new(5)",
     "require('datetime').new() < 5", "require('uuid').new() < 5"],
)  # fmt: skip
def test_errors_do_not_name_our_files(call: str) -> None:
    text = RUNTIME.execute(f"return select(2, pcall(function() return {call} end))").decode()
    assert text
    assert ".lua" not in text
