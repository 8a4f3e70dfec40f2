"""Texts are recognised by their bytes: the value kept for them or none, never that of another."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers.engine import Engine

CACHE = """
local ffi = require('ffi')
local find, keep, clear = require('beespace.engine.texts').new()
local p = require('beespace.engine.state').input
local function with(text, run, ...)
  ffi.copy(p + 3, text, #text)
  return run(p, 3, #text, ...)
end
return function(what, text, value)
  if what == 'keep' then
    with(text, keep, value)
  elseif what == 'find' then
    return with(text, find)
  else
    clear()
  end
end
"""

TEXTS = st.binary(min_size=1, max_size=300)


class Cache:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._run = engine.execute(CACHE)

    def keep(self, text: bytes, value: int) -> None:
        self._engine.runtime.call(self._run, b"keep", text, value)

    def find(self, text: bytes) -> int | bool:
        return self._engine.runtime.call(self._run, b"find", text)

    def clear(self) -> None:
        self._engine.runtime.call(self._run, b"clear")


@pytest.fixture(scope="module")
def cache() -> Iterator[Cache]:
    with Engine(warm=False) as engine:
        yield Cache(engine)


@settings(deadline=None)
@given(st.lists(TEXTS, min_size=1, max_size=40, unique=True))
def test_a_text_has_its_own_value_or_none(cache: Cache, texts: list[bytes]) -> None:
    cache.clear()
    for number, text in enumerate(texts):
        assert cache.find(text) is False
        cache.keep(text, number)
        assert cache.find(text) == (number if len(text) <= 255 else False)
    for number, text in enumerate(texts):
        found = cache.find(text)
        assert found is False or found == number


@pytest.mark.parametrize("length", [1, 2, 3, 8, 31, 32, 255])
def test_any_byte_makes_another_text(cache: Cache, length: int) -> None:
    text = bytes(range(1, length + 1))
    cache.clear()
    cache.keep(text, 7)
    assert cache.find(text) == 7
    for at in range(length):
        other = text[:at] + bytes([text[at] ^ 0x80]) + text[at + 1 :]
        assert cache.find(other) is False
    assert cache.find(text[:-1] or b"x") is False
    assert cache.find(text + b"x") is False


def test_a_new_value_takes_the_place_of_the_old(cache: Cache) -> None:
    cache.keep(b"name", 1)
    cache.keep(b"name", 2)
    assert cache.find(b"name") == 2
    cache.clear()
    assert cache.find(b"name") is False


def test_longer_texts_are_not_kept(cache: Cache) -> None:
    cache.keep(b"x" * 256, 1)
    assert cache.find(b"x" * 256) is False
