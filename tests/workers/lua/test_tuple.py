"""box.tuple and rows as tuples, beside what test_views_golden compares with Tarantool."""

from __future__ import annotations

import pytest

from tests.helpers.engine import Client

ROW = "local t = box.space._vuser:get(0) "


@pytest.mark.parametrize(
    ("source", "results"),
    [
        ("return t.id, t[1], t.name, t[3], t.nosuch, t[99]", [0, 0, "guest", "guest", None, None]),
        ("return #t, type(t), box.tuple.is(t)", [8, "table", True]),
        ("local n = 0 for _ in ipairs(t) do n = n + 1 end return n", [8]),
        ("local n = 0 for _ in pairs(t) do n = n + 1 end return n", [8]),
        ("local n = 0 for _ in t:pairs() do n = n + 1 end return n", [8]),
        ("return t:tomap{names_only = true}.owner, t:tomap()[3]", [1, "guest"]),
        ("return box.tuple.is(t:totable()), t:totable()[3]", [False, "guest"]),
        ("return t:totable(2, 3)", [[1, "guest"]]),
        ("return box.tuple.totable(t, 3, 3), box.tuple.tomap(t).name", [["guest"], "guest"]),
        ("return require('msgpack').decode(require('msgpack').encode(t))[3]", ["guest"]),
        ("return #require('json').decode(require('json').encode(t))", [8]),
        ("return #box.tuple.new(t), box.tuple.new(t).name", [8, None]),
    ],
)
def test_rows(client: Client, source: str, results: list[object]) -> None:
    assert client.eval(ROW + source).data == results


def test_a_tuple_is_an_array_on_the_wire(client: Client) -> None:
    (row,) = client.eval("return box.space._vspace:get(281)").data
    assert row[:6] == [281, 1, "_vspace", "sysview", 0, {}]


@pytest.mark.parametrize("change", ["t.new = 1", "t[99] = 1"])
def test_tuples_do_not_grow(client: Client, change: str) -> None:
    assert "a tuple cannot be changed" in client.eval(ROW + change).text


def test_what_is_done_to_a_row_is_not_done_to_the_next(client: Client) -> None:
    source = """
        local t = box.space._vspace:get(281)
        t[1] = 'gone'
        t.format[1].name = 'gone'
        local again = box.space._vspace:get(281)
        return again[1], again.format[1].name, box.space._vspace:format()[1].name
    """
    assert client.eval(source).data == [281, "id", "id"]


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{1, {}, {a = {1, 'x'}}}", "[1, [], {'a': [1, 'x']}]"),
        ("{box.NULL, true, 2ULL, -3LL, 1.5}", "[null, true, 2, -3, 1.5]"),
        ("{box.tuple.new{1}, 'a'}", "[[1], 'a']"),
    ],
)
def test_text(client: Client, source: str, text: str) -> None:
    assert client.eval(f"return tostring(box.tuple.new{source})").data == [text]


@pytest.mark.parametrize(
    "name", ["totable", "tomap", "unpack", "slice", "find", "findall", "next", "pairs", "bsize"]
)
def test_methods_of_something_else(client: Client, name: str) -> None:
    answer = client.eval(f"return box.tuple.{name}({{}})")
    assert f"Usage: tuple:{name}(" in answer.text
