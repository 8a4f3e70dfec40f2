"""Iterators over sorted rows against a naive model: filter, sort, cut."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cmp_to_key
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.engine import Engine
from tests.helpers.raw import pack

_SELECT: Final = """
local codec = require('beespace.engine.codec')
local search = require('beespace.engine.view_search')
local primary = {{field = 1, type = 'unsigned'}}
return function(packed)
  local rows, key, iterator, offset, limit, hidden = unpack((codec.unpack(packed)))
  local parts = {{field = 2, type = 'scalar'}, {field = 3, type = 'string'}}
  search.sort(rows, parts, primary)
  local ok, checked = pcall(search.check_key, parts, key)
  if not ok then error(checked.message, 0) end
  local found = search.select(rows, parts, checked, iterator, offset, limit, function(row)
    return row[1] % hidden ~= 0
  end)
  return codec.pack(found)
end
"""
EQ, REQ, ALL, LT, LE, GE, GT = range(7)
Row = list[Any]
values = st.one_of(st.booleans(), st.integers(-2, 3), st.sampled_from(["", "a", "ab", "b"]))
texts = st.sampled_from(["", "x", "y"])
contents = st.lists(st.tuples(values, texts), max_size=12)
keys = st.one_of(st.just(()), st.tuples(values), st.tuples(values, texts))


@pytest.fixture(scope="module")
def select() -> Iterator[Any]:
    with Engine(warm=False) as engine:
        function = engine.execute(_SELECT)
        yield lambda request: engine.runtime.call(function, pack(request))


def rank(value: Any) -> tuple[int, Any]:
    kinds = (bool, int, str)
    return next(place for place, kind in enumerate(kinds) if isinstance(value, kind)), value


def sign(row: Row, key: tuple[Any, ...]) -> int:
    own, other = [rank(v) for v in row[1 : 1 + len(key)]], [rank(v) for v in key]
    return (own > other) - (own < other)


def order(a: Row, b: Row) -> int:
    own, other = ([rank(v) for v in [*row[1:], row[0]]] for row in (a, b))
    return (own > other) - (own < other)


def model(
    rows: list[Row], key: tuple[Any, ...], iterator: int, offset: int, limit: int, hidden: int
) -> list[Row]:
    passes = ({0}, {0}, {0, 1}, {-1}, {-1, 0}, {0, 1}, {1})[iterator]
    found = [row for row in rows if not key or sign(row, key) in passes]
    found.sort(key=cmp_to_key(order), reverse=iterator in (REQ, LT, LE))
    return [row for row in found if row[0] % hidden != 0][offset : offset + limit]


@given(
    contents=contents,
    key=keys,
    iterator=st.integers(EQ, GT),
    offset=st.integers(0, 4),
    limit=st.integers(0, 13),
    hidden=st.integers(2, 9),
)
def test_as_the_model(
    select: Any,
    contents: list[tuple[Any, str]],
    key: tuple[Any, ...],
    iterator: int,
    offset: int,
    limit: int,
    hidden: int,
) -> None:
    rows = [[number, *content] for number, content in enumerate(contents)]
    found = select([rows, list(key), iterator, offset, limit, hidden])

    assert found == pack(model(rows, key, iterator, offset, limit, hidden))


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ([1, "x", 2], r"Invalid key part count \(expected \[0..2\], got 3\)"),
        ([1, 5], "of part 1 .*: expected string"),
        ([[]], "of part 0 .*: expected scalar"),
        ([{}], "of part 0 .*: expected scalar"),
        ([None], "of part 0 .*: expected scalar"),
    ],
)
def test_keys_that_do_not_fit(select: Any, key: list[Any], text: str) -> None:
    with pytest.raises(Exception, match=text):
        select([[], key, 0, 0, 1, 2])


@pytest.mark.parametrize("value", [2**64 - 1, -(2**63), 1.5, b"bytes"])
def test_keys_of_other_types_fit(select: Any, value: object) -> None:
    rows = [[1, 5, "x"]]
    assert select([rows, [value], GE, 0, 9, 2]) in (pack([]), pack(rows))
