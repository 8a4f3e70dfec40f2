"""What a large answer leaves behind is collected without any code that allocates."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.helpers.consoles import open_console
from tests.helpers.engine import Engine


@pytest.fixture
def engine() -> Iterator[Engine]:
    with Engine(warm=False) as made:
        made.execute("ticks = require('beespace.engine.garbage').tick")
        yield made


def settle(engine: Engine) -> None:
    for _ in range(2000):
        if not engine.execute("return ticks()"):
            return
    pytest.fail("it never ends")


def test_a_large_answer_is_given_back(engine: Engine) -> None:
    console = open_console(engine)
    before = engine.execute("collectgarbage() return collectgarbage('count')")
    console.send(b"('x'):rep(20000000)\n")
    received = bytearray()

    def answered() -> bool:
        received.extend(console.came())
        return received.endswith(b"x\n...\n")

    engine.run_until(answered)
    assert engine.execute("return ticks()"), "there is nothing to do"
    settle(engine)
    assert engine.execute("return collectgarbage('count')") < before + 8000


def test_small_answers_are_left_to_the_collector(engine: Engine) -> None:
    console = open_console(engine)
    console.say("('x'):rep(100000)\n")
    assert engine.execute("return ticks()") is False
