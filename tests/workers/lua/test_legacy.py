"""CALL_16: values become rows."""

from __future__ import annotations

import pytest

from tests.helpers.engine import Client, Engine, error_of

CASES = [
    ("", []),
    ("1", [[1]]),
    ("nil", [[None]]),
    ("'text'", [["text"]]),
    ("{a = 1}", [[{"a": 1}]]),
    ("{}", [[]]),
    ("{1, 2, 3}", [[1, 2, 3]]),
    ("{{a = 1}, 2}", [[{"a": 1}, 2]]),
    ("{{1}, 2, {3}}", [[1], [2], [3]]),
    ("{{}}", [[]]),
    ("{{1, 2}, {3, 4}}", [[1, 2], [3, 4]]),
    ("{{1}, nil, {a = 1}}", [[1], [None], [{"a": 1}]]),
    ("{1, {2}}", [[1, [2]]]),
    ("1, {2, 3}, nil, {a = 1}", [[1], [2, 3], [None], [{"a": 1}]]),
    ("1, 2", [[1], [2]]),
    ("{{1}}, {{2}}", [[[1]], [[2]]]),
    ("nil, nil", [[None], [None]]),
]


def call16(client: Client, source: str) -> list[object]:
    client.engine.execute(f"function rows() return {source} end")
    return client.request(6, {0x22: "rows", 0x21: []}).data


@pytest.mark.parametrize(("source", "data"), CASES)
def test_shapes(client: Client, source: str, data: list[object]) -> None:
    assert call16(client, source) == data


@pytest.mark.parametrize("count", [15, 16, 65535, 65536, 100_000])
def test_many_rows(client: Client, count: int) -> None:
    client.engine.execute(
        "local n = ... local t = {{0}} for k = 2, n do t[k] = k % 2 == 0 and k or {k} end "
        "function many() return t end",
        count,
    )
    rows = client.request(6, {0x22: "many"}).data

    assert rows == [[0], *([k] for k in range(2, count + 1))]


def test_arguments_and_methods(client: Client) -> None:
    assert client.request(6, {0x22: "math.max", 0x21: [1, 9, 3, 4, 5]}).data == [[9]]
    assert client.request(6, {0x22: "box.session:type"}).data == [["binary"]]


def test_an_error_is_the_whole_answer(client: Client) -> None:
    client.engine.execute("function bad() return 1, {print} end")
    assert error_of(client.request(6, {0x22: "bad"})) == (32, "unsupported Lua type 'function'")
    assert client.in_step()


def test_rows_that_do_not_fit_twice_are_refused() -> None:
    """Rows are built behind the values: both have to fit in the longest answer."""
    with Engine(warm=False) as engine, engine.connect() as client:
        engine.execute("require('beespace.engine.encode').limits.cap = 10000")
        engine.execute("function wide(n) return {{('x'):rep(n)}, {1}} end")
        assert client.request(6, {0x22: "wide", 0x21: [4000]}).code == 0
        assert client.request(6, {0x22: "wide", 0x21: [6000]}).code == 32
        assert client.call("wide", 6000).code == 0
        assert client.in_step()
