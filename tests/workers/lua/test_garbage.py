"""What large answers and requests leave behind is collected without any code that allocates."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.helpers.consoles import open_console
from tests.helpers.engine import Engine
from tests.helpers.requests import evaluation


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

    engine.run_until(answered, 30)
    settle(engine)
    assert engine.execute("return collectgarbage('count')") < before + 8000


@pytest.mark.parametrize("reads", [True, False])
def test_a_large_answer_of_the_binary_port_is_too(engine: Engine, reads: bool) -> None:
    before = engine.execute("collectgarbage() return collectgarbage('count')")
    client = engine.connect()
    client.offer(evaluation(1, "return ('x'):rep(20000000)"))
    if reads:
        client.read()
        assert len(client.packets()) == 1
    else:
        engine.run()
        client.close()
    settle(engine)
    assert engine.execute("return collectgarbage('count')") < before + 10_000
    client.close()


def test_so_is_a_large_request(engine: Engine) -> None:
    before = engine.execute("collectgarbage() return collectgarbage('count')")
    with engine.connect() as client:
        assert client.eval("return 1", "x" * 20_000_000).data == [1]
        settle(engine)
        assert engine.execute("return collectgarbage('count')") < before + 10_000
        client.eval("return ...", "x" * 100_000)
        assert engine.execute("return ticks()") is False


def test_small_answers_are_left_to_the_collector(engine: Engine) -> None:
    console = open_console(engine)
    console.say("('x'):rep(100000)\n")
    assert engine.execute("return ticks()") is False
