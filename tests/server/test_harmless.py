"""What clients say of themselves is shown, and steers no terminal."""

from __future__ import annotations

import pytest

from server.harmless import clean


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
