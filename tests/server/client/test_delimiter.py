"""The user's delimiter: which lines set it, and where it cuts a text."""

from __future__ import annotations

import pytest

from server.client import delimiter

SETTINGS = [
    ("\\set delimiter ;", "", ";"),
    ("\\set delimiter", "", ""),
    ("\\set  delim  !! more\r", "", "!!"),
    ("\\s d ;", "", ";"),
    ("\\set delimiter;", ";", ""),
    ("\\set delimiter ;", ";", ";"),
    ("\\set delimiter !;", ";", "!"),
    ("\\set output lua", "", None),
    ("\\set", "", None),
    (" \\set delimiter ;", "", None),
    ("set delimiter ;", "", None),
    ("\\set delimiter;", "", None),
    ("", "", None),
]

SPLITS = [
    ("1;", ["1"], ""),
    ("f(\n1)", [], "f(\n1)"),
    ("f(\n1);\n2", ["f(\n1)"], "2"),
    ("1; 2;\n3 ; \n", ["1; 2", "3 "], ""),
    ("\\help", ["\\help"], ""),
    ("\\help;\n1;", ["\\help", "1"], ""),
    ("\n\\help", ["\\help"], ""),
    ("f(\n\\help\n);", ["f(\n\\help\n)"], ""),
    ("", [], ""),
]

SECTIONS = [
    ("", "", [("", "")]),
    ("1\n2", "", [("", "1\n2")]),
    ("1;", ";", [(";", "1;")]),
    ("\\set delimiter ;", "", [(None, "\\set delimiter ;")]),
    (
        "1\n\\set delimiter !\nf(\n1)!\n\\set delimiter!\n2",
        "",
        [
            ("", "1"),
            (None, "\\set delimiter !"),
            ("!", "f(\n1)!"),
            (None, "\\set delimiter"),
            ("", "2"),
        ],
    ),
]


@pytest.mark.parametrize(("line", "mark", "expected"), SETTINGS)
def test_lines_that_set_it(line: str, mark: str, expected: str | None) -> None:
    assert delimiter.setting(line, mark) == expected


@pytest.mark.parametrize(("text", "statements", "rest"), SPLITS)
def test_statements_end_with_it(text: str, statements: list[str], rest: str) -> None:
    assert delimiter.split(text, ";") == (statements, rest)


@pytest.mark.parametrize(("text", "mark", "expected"), SECTIONS)
def test_lines_that_set_it_cut_a_text(
    text: str, mark: str, expected: list[tuple[str | None, str]]
) -> None:
    assert list(delimiter.sections(text, mark)) == expected


def test_what_a_statement_may_have_set() -> None:
    text = """require("console").delimiter(';') return [[x]], "", ';'"""
    assert delimiter.named(text) == [";", "x", "console"]
    assert delimiter.named("require'console'.delimiter(mark)") == ["console"]
