"""Words and tables for people."""

from __future__ import annotations

import pytest

from server.cli import texts


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0.0 s"), (59.94, "59.9 s"), (60, "1 min 0 s"), (3600, "1 h 0 min"), (90061, "1 d 1 h")],
)
def test_spans(seconds: float, text: str) -> None:
    assert texts.span(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1024 * 1023.96, "1.0 MiB"),
        (5 << 30, "5.0 GiB"),
        (3 << 50, "3072.0 TiB"),
    ],
)
def test_sizes(count: float, text: str) -> None:
    assert texts.size(count) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "-"), (0, "0"), (0.0, "0.0"), (12.34, "12.3"), (1234.5, "1,234"), (12345, "12,345")],
)
def test_numbers(value: float | None, text: str) -> None:
    assert texts.number(value) == text


def test_a_table() -> None:
    rows = [("", "count", "note"), ("a", "1", "-"), ("bcd", "100", "x")]
    assert list(texts.table(rows, frozenset({"count"}))) == [
        "     count  note",
        "a        1  -",
        "bcd    100  x",
    ]
