"""What a terminal is sent: never anything that steers it, and colours only as asked."""

from __future__ import annotations

import re

import pytest

from server.client import shown

TEXTS = [
    b"---\n...\n",
    b"---\n- 1\n- a: b\n  c: null\n- 'x: y'\n- |\n  text\n\n  more\n...\n",
    b"%TAG !push! tag:tarantool.io/push,2018\n--- {'a': 1}\n...\n",
    b'---\n- "\\e[0m"\n- \xc3\xa9\n- &0 [1]\n- *0\n...\n',
    b'{a = "b", 1, nil};',
    b"\t- tabs\r\n",
]


@pytest.mark.parametrize("text", TEXTS)
def test_colours_add_nothing_else(text: bytes) -> None:
    assert re.sub(r"\x1b\[[0-9;]*m", "", shown.coloured(text)) == shown.plain(text)


def test_there_are_colours() -> None:
    assert "\x1b[" in shown.coloured(TEXTS[1])
    assert "\x1b[" in shown.coloured(TEXTS[4])


def test_nothing_steers_the_terminal() -> None:
    assert shown.plain(b"a\x1b[2Jb\x07\r\x7f\xc2\x9b\n\tc\xff") == (
        "a\\x1b[2Jb\\x07\\x0d\\x7f\\x9b\n\tc\\xff"
    )


def test_much_text_is_not_coloured() -> None:
    much = b"---\n" + b"- 1\n" * 50_000 + b"...\n"
    assert shown.coloured(much) == much.decode()
