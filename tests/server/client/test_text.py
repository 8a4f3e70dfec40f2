"""The text console's dialect: where documents end, however their bytes arrive."""

from __future__ import annotations

import pytest

from server.client.message import Message
from server.client.text import TextDialect

PUSH = b"%TAG !push! tag:tarantool.io/push,2018\n"

STREAMS = {
    "nothing": [(b"---\n...\n", False)],
    "value": [(b"---\n- 1\n...\n", False)],
    "push": [(PUSH + b"--- 1\n...\n", True), (b"---\n- true\n...\n", False)],
    "pushed list": [(PUSH + b"---\n- 1\n- 2\n...\n", True), (b"---\n...\n", False)],
    "pushed text": [(PUSH + b"--- |\n  a\n\n  ...\n...\n", True), (b"---\n...\n", False)],
    "dots in a block": [(b"---\n- |\n  a\n\n  ...\n  b\n...\n", False)],
    "dots quoted": [(b"---\n- 'a\n\n  ...\n\n  b'\n...\n", False)],
    "Lua": [(b"1;", False)],
    "Lua nothing": [(b";", False)],
    "Lua negative": [(b"-1;", False), (b"-nan;", False)],
    "Lua strings": [(b'"a;b", {x = "\\";\\\\"};', False), (b'"";', False)],
    "Lua block": [(b'{\n  "...\\n",\n  2\n};', False)],
    "Lua push": [(b'-- Push\n{1, "a;b"};', True), (b"true;", False)],
    "other language": [
        (b"true;", False),
        (b'{"---\\n..."};', False),
        (b"---\n- true\n...\n", False),
    ],
}


def feeds(stream: bytes) -> list[list[bytes]]:
    cuts = [[stream], [stream[i : i + 1] for i in range(len(stream))]]
    return cuts + [[stream[:cut], stream[cut:]] for cut in range(1, len(stream))]


@pytest.mark.parametrize("name", STREAMS)
def test_documents_are_told_apart(name: str) -> None:
    documents = STREAMS[name]
    tickets = []
    for feed in feeds(b"".join(text for text, _ in documents)):
        dialect = TextDialect()
        tickets = [dialect.statement("x")[0] for _, is_push in documents if not is_push]
        found: list[Message] = []
        for piece in feed:
            dialect.feed(piece)
            while (message := dialect.next()) is not None:
                found.append(message)
        assert [(message.text, message.is_push) for message in found] == documents, feed
        assert [m.ticket for m in found if not m.is_push] == tickets
        assert dialect.next() is None


def test_a_push_belongs_to_the_statement_that_runs() -> None:
    dialect = TextDialect()
    first, second = (dialect.statement("x")[0] for _ in range(2))
    dialect.feed(b"---\n...\n" + PUSH + b"--- 1\n...\n---\n...\n")
    assert [dialect.next(), dialect.next(), dialect.next()] == [
        Message(first, b"---\n...\n"),
        Message(second, PUSH + b"--- 1\n...\n", True),
        Message(second, b"---\n...\n"),
    ]


def test_a_long_answer_takes_time_in_proportion() -> None:
    dialect = TextDialect()
    dialect.statement("x")
    piece = b"- a line of an answer that is long\n" * 1000
    dialect.feed(b"---\n")
    for _ in range(1000):
        dialect.feed(piece)
        assert dialect.next() is None
    dialect.feed(b"...\n")
    message = dialect.next()
    assert message is not None
    assert len(message.text) == 8 + 1000 * len(piece)


def test_lines_between_answers_are_no_answers() -> None:
    dialect = TextDialect()
    dialect.feed(b"1;\n2;\n")
    assert [dialect.next(), dialect.next(), dialect.next()] == [
        Message(0, b"1;"),
        Message(0, b"2;"),
        None,
    ]


def test_statements_end_with_the_delimiter() -> None:
    dialect = TextDialect()
    assert dialect.statement("1")[1] == b"1\n"
    dialect.delimiter = "$EOF$"
    assert dialect.statement("1\n2")[1] == b"1\n2$EOF$\n"
    assert dialect.statement("'a$EOF$b'")[1] == b"'a$EOF$b'$EOF$\n"
    assert dialect.statement("\udcff")[1] == b"\xff$EOF$\n"


@pytest.mark.parametrize("text", ["[[\n$EOF$\n]]", "a$EOF$\rb"])
def test_a_statement_that_would_end_early_is_not_sent(text: str) -> None:
    dialect = TextDialect()
    dialect.delimiter = "$EOF$"
    with pytest.raises(ValueError, match=r"\$EOF\$ at the end of a line"):
        dialect.statement(text)
    first, data = dialect.statement("1")
    assert (first, data) == (1, b"1$EOF$\n")
