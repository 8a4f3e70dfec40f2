"""Which answers are errors, and what they say."""

from __future__ import annotations

import pytest

from server.client import answers

ERRORS = [
    (b"---\n- error: boo\n...\n", "boo"),
    (b"---\n- error: 'a: b'\n...\n", "a: b"),
    (b'---\n- error: "a\\tb"\n...\n', "a\tb"),
    (b"---\n- error: 'a\n\n    b'\n...\n", "a\nb"),
    (b"---\n- error: |\n    a\n\n    b\n...\n", "a\n\nb\n"),
    (b"---\n- error: a\n    b\n...\n", "a b"),
    (b"---\n- error: null\n...\n", "null"),
    (b"---\n- error:\n...\n", ""),
    (b"---\n- error:\n    code: 1\n...\n", "code: 1"),
    (b"---\n- error:\n  - 1\n  - 2\n...\n", "- 1\n- 2"),
    (b"---\n- error:\n    a: 1\n    b:\n      c: 1\n...\n", "a: 1\nb:\n  c: 1"),
    (b"---\n- error: {a: 1}\n...\n", "{a: 1}"),
    (b'{error = "a;\\"\\n\\195\\xa9"};', 'a;"\né'),
    (b"{error = nil};", "nil"),
]

RESULTS = [
    b"",
    b"---\n...\n",
    b"---\n- 1\n...\n",
    b"---\n- errors: 1\n...\n",
    b"---\n- error: 1\n  other: 2\n...\n",
    b"---\n- error: 1\n- 2\n...\n",
    b"---\n- a: 1\n  error: 2\n...\n",
    b"---\n- - error: 1\n...\n",
    b"---\n- 'error: 1'\n...\n",
    b"{1};",
    b'"error";',
]


@pytest.mark.parametrize(("text", "said"), ERRORS)
def test_an_error(text: bytes, said: str) -> None:
    assert answers.failure(text) == said


@pytest.mark.parametrize("text", RESULTS)
def test_no_error(text: bytes) -> None:
    assert answers.failure(text) is None
