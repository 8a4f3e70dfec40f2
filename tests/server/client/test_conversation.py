"""Statements, the client's own questions, and answers that come when nobody waits for them."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from server.client import questions
from server.client.binary import BinaryDialect
from server.client.conversation import Conversation, leaves
from server.client.failures import ClientError, Gone, Interrupted, Late
from server.client.message import Message
from server.client.text import TextDialect
from server.client.wire import Wire
from tests.server.client.standin import SALT, answer, evaluation, response

PUSH = b"%TAG !push! tag:tarantool.io/push,2018\n--- 1\n...\n"
ONE, TWO = b"---\n- 1\n...\n", b"---\n- 2\n...\n"
HEX = b"---\n- hex_6162\n...\n"


class Ends:
    """A conversation and the server's end of it, which says its part beforehand."""

    def __init__(self, dialect: TextDialect | BinaryDialect) -> None:
        ours, self.server = socket.socketpair()
        self.server.settimeout(20)
        self.wire = Wire(ours, "there")
        self.talk = Conversation(self.wire, dialect)
        self.shown: list[bytes] = []
        self.reader, self._writer = os.pipe()

    def show(self, message: Message) -> None:
        self.shown.append(message.text)

    def interrupt(self, statement: str) -> None:
        """A statement that the user does not wait for."""
        os.write(self._writer, b"\0")
        with pytest.raises(Interrupted):
            self.talk.execute(statement, self.show, self.reader)
        os.read(self.reader, 1)

    def close(self) -> None:
        self.wire.close()
        self.server.close()
        os.close(self.reader)
        os.close(self._writer)


@pytest.fixture
def text() -> Iterator[Ends]:
    ends = Ends(TextDialect())
    yield ends
    ends.close()


@pytest.fixture
def binary() -> Iterator[Ends]:
    ends = Ends(BinaryDialect(SALT))
    yield ends
    ends.close()


def test_pushes_come_before_the_answer(text: Ends) -> None:
    text.server.sendall(PUSH + PUSH + ONE)
    assert text.talk.execute("f()", text.show).text == ONE
    assert text.shown == [PUSH, PUSH]
    assert text.server.recv(100) == b"f()\n"


def test_the_answer_of_a_statement_that_was_given_up_comes_before_the_next_one(text: Ends) -> None:
    text.interrupt("slow()")
    assert text.talk.busy
    text.server.sendall(PUSH + ONE + TWO)
    assert text.talk.execute("2", text.show).text == TWO
    assert text.shown == [PUSH, ONE]
    assert not text.talk.busy


def test_a_console_that_is_busy_is_sent_nothing(text: Ends) -> None:
    text.interrupt("slow()")
    text.interrupt("more()")
    assert text.server.recv(100) == b"slow()\n"
    text.server.sendall(ONE)
    text.talk.idle(text.show)
    assert text.shown == [ONE]
    text.server.sendall(TWO)
    assert text.talk.execute("2", text.show).text == TWO
    assert text.server.recv(100) == b"2\n"


def test_a_binary_port_takes_the_next_statement_at_once(binary: Ends) -> None:
    binary.interrupt("slow()")
    assert not binary.talk.busy
    binary.server.sendall(answer(2, TWO) + response(1, {0x30: [1]}, 0x80) + answer(1, ONE))
    assert binary.talk.execute("2", binary.show).text == TWO
    assert binary.server.recv(1000) == evaluation(1, "slow()") + evaluation(2, "2")
    assert binary.shown == []
    binary.talk.idle(binary.show)
    assert binary.shown == [PUSH, ONE]


def test_an_answer_that_was_given_up_is_shown_before_the_one_that_overtakes_it(
    binary: Ends,
) -> None:
    binary.interrupt("slow()")
    binary.server.sendall(answer(1, ONE) + answer(2, TWO))
    assert binary.talk.execute("2", binary.show).text == TWO
    assert binary.shown == [ONE]


def test_a_question_is_answered(text: Ends) -> None:
    text.server.sendall(HEX)
    assert text.talk.ask("'ab'", 20) == b"ab"
    assert text.server.recv(1000).decode() == questions.statement("'ab'") + "\n"


def test_a_question_that_fails_has_no_answer(text: Ends) -> None:
    text.server.sendall(b"---\n- error: no\n...\n")
    assert text.talk.ask("'ab'", 20) is None


def test_the_late_answer_of_a_question_is_dropped(text: Ends) -> None:
    assert text.talk.ask("'ab'", 0.01) is None
    assert text.talk.busy
    text.server.sendall(HEX)
    text.talk.idle(text.show)
    assert text.shown == []
    text.server.sendall(ONE)
    assert text.talk.execute("1", text.show).text == ONE


def test_what_comes_while_a_question_is_asked_is_kept(text: Ends) -> None:
    text.interrupt("slow()")
    text.server.sendall(PUSH + ONE + HEX)
    assert text.talk.ask("'ab'", 20) == b"ab"
    assert text.shown == []
    text.talk.idle(text.show)
    assert text.shown == [PUSH, ONE]


SET = """require('console').delimiter(';')"""
ASKED = questions.statement(questions.NOTHING).encode() + b"\n"


def test_after_a_statement_that_may_set_the_delimiter_the_hidden_one_is_set(text: Ends) -> None:
    text.server.sendall(HEX)
    text.talk.settle(SET)
    assert text.server.recv(1000) == ASKED
    assert b"delimiter('$EOF$')" in ASKED
    assert ASKED.endswith(b"--\n")


def test_a_statement_that_sets_no_delimiter_needs_nothing(text: Ends, binary: Ends) -> None:
    text.talk.settle("1")
    binary.talk.settle(SET)
    for ends in (text, binary):
        ends.server.setblocking(False)
        with pytest.raises(BlockingIOError):
            ends.server.recv(1)


def test_what_may_be_the_delimiter_is_tried(text: Ends) -> None:
    def answer_behind(last: bytes) -> None:
        while not got.endswith(last):
            got.extend(text.server.recv(1000))
        text.server.sendall(HEX)

    got = bytearray()
    thread = threading.Thread(target=answer_behind, args=(b"--console\n",))
    thread.start()
    # Behind the last text, five times as long is waited for an answer.
    text.talk.settle(SET, 0.5)
    thread.join()
    assert got == ASKED + b"--;\n--console\n"
    assert not text.talk.busy


def test_a_delimiter_that_is_not_found_is_told(text: Ends) -> None:
    with pytest.raises(ClientError, match="another delimiter"):
        text.talk.settle("set_delimiter()", 0.01)


def test_nobody_waits_behind_the_deadline(text: Ends) -> None:
    with pytest.raises(Late):
        text.talk.execute("1", text.show, deadline=time.monotonic() + 0.01)


def test_the_end_is_told_after_what_was_said(text: Ends) -> None:
    text.interrupt("slow()")
    text.server.sendall(ONE)
    text.server.close()
    text.talk.idle(text.show)
    assert text.shown == [ONE]
    with pytest.raises(Gone):
        text.talk.idle(text.show)


def test_what_is_not_sent_is_not_waited_for(text: Ends) -> None:
    dialect = TextDialect()
    dialect.delimiter = "$EOF$"
    talk = Conversation(text.wire, dialect)
    with pytest.raises(ValueError, match="end of a line"):
        talk.execute("[[$EOF$\n]]", text.show)
    assert not talk.busy


@pytest.mark.parametrize("statement", ["\\q", "\\quit", "\\quit \n", "\\q now"])
def test_words_that_leave(statement: str) -> None:
    assert leaves(statement)


@pytest.mark.parametrize("statement", ["", " ", "\\", "\\quiet", " \\q", "q", "'\\q'"])
def test_words_that_stay(statement: str) -> None:
    assert not leaves(statement)
