"""The Lua codec as Python functions over bytes; used by tests/workers/lua."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.helpers.lua import make_runtime
from workers.runtime import LuaFailureError, Runtime

_SETUP = """
local codec = require('beespace.engine.codec')
local decoder = require('beespace.engine.decode')
local ffi = require('ffi')
return {
  copy = function(bytes)
    return codec.pack((codec.unpack(bytes)))
  end,
  pack_source = function(source)
    return codec.pack(assert(loadstring('local ffi = require("ffi") ' .. source))())
  end,
  -- 'value', 'BAD' or the text raised, then the index behind the value.
  decode_at = function(address, size)
    local p = ffi.cast('uint8_t *', address)
    local ok, value, at = pcall(decoder.decode, p, 0, size, 0)
    if ok then
      return 'value', at
    end
    return value == decoder.BAD and 'BAD' or value
  end,
  skip_at = function(address, size)
    local p = ffi.cast('uint8_t *', address)
    local ok, at = pcall(decoder.skip, p, 0, size)
    if ok then
      return 'value', at
    end
    return at == decoder.BAD and 'BAD' or at
  end,
  pass = codec.pass,
}
"""


@dataclass(frozen=True)
class Codec:
    """The functions of one runtime."""

    runtime: Runtime
    functions: Any

    def copy(self, data: bytes) -> bytes:
        """Decoded and encoded again."""
        return bytes(self.runtime.call(self.functions[b"copy"], data))

    def pack(self, source: str) -> bytes:
        """What a Lua chunk returns, encoded; ``ffi`` is at hand."""
        return bytes(self.runtime.call(self.functions[b"pack_source"], source.encode()))

    def error(self, source: str) -> str:
        """The text that encoding the result of a Lua chunk raises."""
        try:
            packed = self.pack(source)
        except LuaFailureError as failure:
            return str(failure).split("\nstack traceback")[0]
        raise AssertionError(f"encoded as {packed.hex(' ')}")

    def outcome(self, name: str, address: int, size: int) -> tuple[bytes, int]:
        """decode_at or skip_at of memory: (b"value", index behind) or (b"BAD" or text, -1)."""
        result = self.runtime.call(self.functions[name.encode()], address, size)
        return result if isinstance(result, tuple) else (result, -1)


def make_codec() -> Codec:
    """A fresh runtime with the codec loaded."""
    runtime = make_runtime()
    return Codec(runtime, runtime.execute(_SETUP))
