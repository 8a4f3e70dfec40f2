"""How much of a value an error line shows."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from server import shown


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("x", "'x'"),
        (5, "5"),
        (2.5, "2.5"),
        (True, "True"),
        (None, "nothing"),
        pytest.param(10**5000, "a number", id="huge"),
        (10**20, "1" + "0" * 20),
        (1e300, "1e+300"),
        (float("nan"), "nan"),
        (float("-inf"), "-inf"),
        (["x"], "a list"),
        ({"x": 1}, "a map"),
        ({"x"}, "a set"),
        (b"x", "binary data"),
        (dt.date(2026, 1, 1), "a date"),
        (object(), "a value"),
        ('[{"uri": "x"}]', "a text"),
        ("a\nb", "a text"),
        ("x" * 300, "'" + "x" * 196 + "..."),
        ("127.0.0.1:3301", "'127.0.0.1:3301'"),
        ("bob:pw@127.0.0.1:3301", "'***@127.0.0.1:3301'"),
        ("bob:p@w,x@127.0.0.1:3301", "'***@127.0.0.1:3301'"),
        ("127.0.0.1:3301?password=pw", "'127.0.0.1:3301?***'"),
        ("bob:p?w@127.0.0.1:3301", "'***'"),
    ],
)
def test_scalars(value: Any, text: str) -> None:
    assert shown.scalar(value) == text


def test_kinds() -> None:
    values: list[Any] = [None, True, "x", 1, 1.5, [], {}]
    kinds = ["nothing", "true or false", "a text", "a number", "a number", "a list", "a map"]
    assert [shown.kind(value) for value in values] == kinds
