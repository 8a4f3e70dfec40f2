"""The codec compiles: a loop around each hot function becomes machine code."""

from __future__ import annotations

from typing import Any

import pytest

from tests.helpers.lua import make_runtime

# Numbers of LuaJIT's trace errors that may be met on the way.
LEAVING_LOOP = 8  # the recording began on a loop's last turn; it is tried again
INNER_LOOP = 9  # the loop around it waits for the inner loop's side trace
UNROLL = 10  # a side trace met the loop around it before that had a trace of its own

WATCH = """
local source, value_source = ...
local ffi = require('ffi')
local util = require('jit.util')
local codec = require('beespace.engine.codec')
local decoder = require('beespace.engine.decode')
local encoder = require('beespace.engine.encode')
codec.warm_up()
jit.opt.start('hotloop=8')
local made = assert(loadstring(value_source, '=value'))()
local text = codec.pack(made)
local bytes = ffi.new('uint8_t[65536]')
ffi.copy(bytes, text, #text)
local out = ffi.new('uint8_t[65536]')
encoder.limits.cap = 65536
local traces, aborts = 0, {}
local function seen(what, trace, func, pc, err)
  if what == 'stop' and util.traceinfo(trace).linktype ~= 'interpreter' then
    traces = traces + 1
  elseif what == 'abort' then
    local info = util.funcinfo(func, pc)
    aborts[#aborts + 1] = ('%d %s:%d'):format(err or -1, info.source, info.currentline)
  end
end
local body = assert(loadstring(source, '=body'))
local decoded = decoder.decode(ffi.cast('uint8_t *', bytes), 0, #text, 0)
jit.attach(seen, 'trace')
body(decoder, encoder, ffi.cast('uint8_t *', bytes), #text, ffi.cast('uint8_t *', out), decoded)
jit.attach(seen)
assert(ffi.sizeof(out) + ffi.sizeof(bytes) == 131072)
return traces, table.concat(aborts, '\\n')
"""

BODIES = {
    "decode": "local d, e, p, n, o, v = ... for _ = 1, 4000 do d.decode(p, 0, n, 0) end",
    "encode": "local d, e, p, n, o, v = ... for _ = 1, 4000 do e.encode(o, 0, v, 0) end",
    "skip": "local d, e, p, n, o, v = ... for _ = 1, 4000 do d.skip(p, 0, n) end",
}
SHORT = ["5", "-5", "70000", "1.5", "'text'", "true", "{}", "{1, 'a', 2.5}", "2^60 * 1ULL",
         "-2^60 * 1LL", "require('uuid').new()", "require('varbinary').new('x')"]  # fmt: skip
LONG = ["{a = 1}", "{a = 1, b = 2, c = 'x'}", "{1, {2, {3}}}", "{1, 2, 3, 4, 5, 6, 7, 8, 9}",
        "{a = 1, b = 2, c = 3, d = 4, e = 5}"]  # fmt: skip


# LuaJIT adds random penalties to traces it gave up, so one runtime may be unlucky: about one in
# fifty of those seen. Code that cannot compile fails in every runtime.
RUNTIMES = 4


def watch(name: str, value: str) -> tuple[int, list[str]]:
    """Traces made and aborts met by a loop around one function, after the warm-up."""
    result: Any = make_runtime().execute(WATCH, BODIES[name].encode(), f"return {value}".encode())
    return result[0], result[1].decode().splitlines()


def unexpected(name: str, value: str, allowed: set[int]) -> list[list[str]]:
    """Aborts that are not allowed, of each runtime tried; empty once a runtime had none of them.

    A runtime that made no trace at all counts as one with every abort it met.
    """
    seen = []
    for _ in range(RUNTIMES):
        traces, aborts = watch(name, value)
        wrong = [line for line in aborts if traces == 0 or int(line.split()[0]) not in allowed]
        if traces > 0 and not wrong:
            return []
        seen.append(wrong)
    return seen


@pytest.mark.parametrize("value", SHORT)
@pytest.mark.parametrize("name", ["decode", "encode"])
def test_scalars_and_short_arrays_compile(name: str, value: str) -> None:
    assert unexpected(name, value, {UNROLL}) == []


@pytest.mark.parametrize("value", LONG)
@pytest.mark.parametrize("name", ["decode", "encode", "skip"])
def test_containers_compile(name: str, value: str) -> None:
    assert unexpected(name, value, {LEAVING_LOOP, INNER_LOOP, UNROLL}) == []


def test_the_watch_sees_aborts() -> None:
    result: Any = make_runtime().execute(
        WATCH, b"for k = 1, 400 do string.dump(function() return k end) end", b"return 1"
    )
    assert result[1] != b""
