"""Shared memory in two halves: what counts, and copies that are whole or none."""

from __future__ import annotations

import ctypes
from typing import Any

import pytest

from tests.helpers.lua import make_runtime

PROGRAM = """
local ffi = require('ffi')
local base, size, word = ...
local memory = require('beespace.engine.halves').new(ffi.cast('uint8_t *', base), size, word)
local function write(epoch, text)
  ffi.copy(memory.half_of(epoch), text, #text)
end
return {
  half = memory.half,
  write = write,
  commit = memory.commit,
  extent = memory.extent,
  read = function(epoch, from, length)
    local bytes = memory.copy(epoch, from, length)
    local text = bytes ~= nil and ffi.string(bytes, length) or nil
    memory.done(length)
    return text
  end,
}
"""


class Memory:
    """A memory of two halves with its word."""

    def __init__(self, size: int) -> None:
        self.word = ctypes.c_uint64(0)
        self.bytes = (ctypes.c_uint8 * size)()
        self.runtime = make_runtime()
        chunk = self.runtime.execute("return assert(loadstring(...))", PROGRAM.encode())
        word = self.runtime.execute("return require('ffi').cast('void *', ...)", _at(self.word))
        self.api = self.runtime.call(chunk, _at(self.bytes), size, word)

    def call(self, name: str, *arguments: Any) -> Any:
        return self.runtime.call(self.api[name.encode()], *arguments)


def _at(value: Any) -> int:
    return ctypes.addressof(value)


@pytest.fixture
def memory() -> Memory:
    return Memory(1000)


def test_a_half_takes_whole_words(memory: Memory) -> None:
    assert memory.api[b"half"] == 496


def test_nothing_counts_at_first(memory: Memory) -> None:
    assert memory.call("extent") == (0, 0)


def test_what_is_written_counts_once_it_is_committed(memory: Memory) -> None:
    memory.call("write", 1, b"first")
    assert memory.call("extent") == (0, 0)
    memory.call("commit", 1, 5)
    assert memory.call("extent") == (1, 5)
    assert memory.word.value == (1 << 32) + 5
    assert memory.call("read", 1, 0, 5) == b"first"
    assert bytes(memory.bytes[496:501]) == b"first"


def test_the_other_half_is_left_alone(memory: Memory) -> None:
    memory.call("write", 1, b"first")
    memory.call("commit", 1, 5)
    memory.call("write", 2, b"second")
    assert memory.call("read", 1, 0, 5) == b"first"
    memory.call("commit", 2, 6)
    assert memory.call("read", 2, 1, 5) == b"econd"


def test_a_copy_of_an_epoch_that_is_over_is_none(memory: Memory) -> None:
    memory.call("commit", 1, 5)
    memory.call("commit", 2, 6)
    assert memory.call("read", 1, 0, 5) is None


def test_epochs_fill_their_half_of_the_word(memory: Memory) -> None:
    memory.call("commit", (1 << 32) - 1, 496)
    assert memory.call("extent") == ((1 << 32) - 1, 496)
