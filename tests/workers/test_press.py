"""Documents that threads render: fed in pieces, told of through a socket, taken or dropped."""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Iterator

import pytest

from workers import rendering
from workers.press import NUMBER_SIZE, Press

# A block sequence of two texts and a quoted one.
EVENTS = b"\x00\xa1a\xa3b c\x11\xa11\x04"
TEXT = b"---\n- a\n- b c\n- '1'\n...\n"
SECONDS = 5.0


@pytest.fixture
def press() -> Iterator[Press]:
    made = Press()
    yield made
    made.close()
    for each in threading.enumerate():
        if each.name.startswith("yaml-"):
            each.join(SECONDS)
            assert not each.is_alive()


def told(press: Press) -> int:
    """The number of the next document that is done."""
    ready, _, _ = select.select([press.fileno()], [], [], SECONDS)
    assert ready, "no document is done"
    with socket.socket(fileno=press.fileno()) as reader:
        try:
            return int.from_bytes(reader.recv(NUMBER_SIZE), "little")
        finally:
            reader.detach()


def test_the_text_is_that_of_one_piece(press: Press) -> None:
    assert rendering.render(EVENTS, b"2.6") == TEXT

    for size in range(1, len(EVENTS) + 1):
        number = press.begin(b"2.6", None, None)
        for at in range(0, len(EVENTS), size):
            press.feed(number, EVENTS[at : at + size])
        press.finish(number)

        assert told(press) == number
        assert press.take(number) == TEXT


def test_documents_are_told_apart(press: Press) -> None:
    first = press.begin(b"2.6", None, None)
    second = press.begin(b"2.6", b"!push!", b"tag:x")
    press.feed(second, b"\xa1b")
    press.finish(second)
    assert told(press) == second
    press.feed(first, b"\xa1a")
    press.finish(first)
    assert told(press) == first

    assert press.take(first) == b"--- a\n...\n"
    assert press.take(second) == b"%TAG !push! tag:x\n--- b\n...\n"


@pytest.mark.parametrize("events", [b"\x04", b"\xa1a\xa1b", b"\x15"])
def test_a_document_that_cannot_be_rendered_has_a_problem(press: Press, events: bytes) -> None:
    number = press.begin(b"2.6", None, None)
    press.feed(number, events)
    press.finish(number)

    assert told(press) == number
    text, problem = press.take(number)
    assert text is None
    assert problem


def test_a_document_that_was_dropped_ends(press: Press) -> None:
    waiting = press.begin(b"2.6", None, None)
    fed = press.begin(b"2.6", None, None)
    press.feed(fed, EVENTS[:4])

    assert press.drop(waiting)
    assert press.drop(fed)
    assert press.drop(fed), "nothing is wrong with dropping it again"


def test_a_press_that_closes_drops_its_documents() -> None:
    press = Press()
    number = press.begin(b"2.6", None, None)
    (thread,) = (each for each in threading.enumerate() if each.name == f"yaml-{number}")

    press.close()

    thread.join(SECONDS)
    assert not thread.is_alive()
