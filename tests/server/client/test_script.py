"""Which statements the text of a script is."""

from __future__ import annotations

import pytest

from server.client import script

TEXTS = [
    ("", [""]),
    ("return 1\nreturn 2", ["return 1\nreturn 2"]),
    ("\\help", ["\\help"]),
    ("\\set output lua\nlocal a = 1\nreturn a", ["\\set output lua", "local a = 1\nreturn a"]),
    ("\\set output lua\r\n\n\\help\n\n", ["\\set output lua", "\\help"]),
    ("\n\\help\n1", ["\\help", "1"]),
    ("return [[\n\\help]]", ["return [[\n\\help]]"]),
    (" \\help", [" \\help"]),
    ("\\set output lua\n\nreturn 1", ["\\set output lua", "\nreturn 1"]),
    ("\\set delimiter ;", []),
    ("\\set delimiter ;\n1;\nf(\n2);\n3", ["1", "f(\n2)", "3"]),
    ("\\set delimiter ;\n1;\n\\set delimiter;\n2\n3", ["1", "2\n3"]),
]


@pytest.mark.parametrize(("text", "expected"), TEXTS)
def test_a_text_is_one_statement_behind_its_commands(text: str, expected: list[str]) -> None:
    assert script.statements(text) == expected
