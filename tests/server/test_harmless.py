"""What clients say of themselves is shown, and steers no terminal."""

from __future__ import annotations

import pytest

from server.harmless import clean, padded, width


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ä name", "plain ä name"),
        ("a ä\x1b[2J\n\x9b\u202e\udcff", r"a ä\x1b[2J\n\x9b\u202e\udcff"),
        ("", ""),
    ],
)
def test_what_would_steer_a_terminal_is_written_out(text: str, shown: str) -> None:
    assert clean(text) == shown


@pytest.mark.parametrize(
    ("text", "cells"),
    [("", 0), ("ab", 2), ("äß", 2), ("日本", 4), ("😀", 2), ("e\u0301", 1)],
    ids=ascii,
)
def test_widths(text: str, cells: int) -> None:
    assert width(text) == cells


def test_padding() -> None:
    assert padded("日本", 6, right=False) == "日本  "
    assert padded("日本", 6, right=True) == "  日本"
    assert padded("long", 2, right=True) == "long"
