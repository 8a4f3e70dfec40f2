"""box.once in one worker: what runs, who waits for whom, and runners that are gone."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import msgpack
import pytest

from tests.helpers.engine import Client, Engine, error_of
from tests.helpers.requests import evaluation

SLOW = """
box.once('slow', function()
  repeat require('fiber').sleep(0.01) until go
  done = (done or 0) + 1
end)
return done
"""


@pytest.fixture
def engine() -> Iterator[Engine]:
    with Engine(warm=False) as engine:
        yield engine


@pytest.fixture
def client(engine: Engine) -> Iterator[Client]:
    with engine.connect() as client:
        yield client


def change(engine: Engine, operation: str, *arguments: object) -> Any:
    answer = engine.catalog.change(operation.encode(), msgpack.packb(arguments))
    return msgpack.unpackb(answer)[1]


def pid_of(engine: Engine) -> int:
    return int(engine.row.pid)


def test_it_runs_once_and_gives_its_results(client: Client) -> None:
    source = "return box.once('key', function(...) return 'ran', ... end, 1, 2)"
    assert [client.eval(source).data for _ in range(3)] == [["ran", 1, 2], [], []]


def test_the_key_stays_when_the_function_fails(client: Client) -> None:
    source = "return box.once('key', function() box.error(1, 'text') end)"
    assert error_of(client.eval(source)) == (1, "text")
    assert client.eval(source).data == []
    assert client.eval("return box.once('key', function() return 1 end)").data == []


def test_others_wait_for_its_end(engine: Engine, client: Client) -> None:
    with engine.connect() as other:
        other.send(evaluation(1, SLOW))
        client.send(evaluation(2, SLOW))
        assert other.packets() == client.packets() == []
        engine.execute("go = true")
        assert [each.data for each in client.answers(b"", 1)] == [[1]]
        assert [each.data for each in other.answers(b"", 1)] == [[1]]
    assert client.eval(SLOW).data == [1]


def test_a_function_does_not_wait_for_itself(client: Client) -> None:
    source = "return box.once('key', function() box.once('key', error) return 7 end)"
    assert client.eval(source).data == [7]


def test_nobody_waits_for_ever(engine: Engine, client: Client) -> None:
    engine.execute("require('beespace.box.once').limit = 0.05")
    source = "box.once('key', function() require('fiber').sleep(1000) end)"
    with engine.connect() as other:
        other.send(evaluation(1, source))
        begun = time.monotonic()
        (answer,) = client.answers(evaluation(2, source), 1)
        assert error_of(answer) == (78, "Timeout exceeded")
        assert 0.05 <= time.monotonic() - begun < 4


def test_a_cancelled_waiter_stops_waiting(engine: Engine, client: Client) -> None:
    source = "box.once('key', function() require('fiber').sleep(1000) end)"
    with engine.connect() as other:
        other.send(evaluation(1, source))
        client.send(evaluation(2, f"waiter = require('fiber').self() {source}"))
        (answer,) = other.answers(evaluation(3, "waiter:cancel()"), 1)
        assert error_of(answer) == (0, "")
        (answer,) = client.answers(b"", 1)
        assert answer.text == "fiber is cancelled"


@pytest.mark.parametrize(
    "runner", ["{server} 0 {other}", "abcdef 0 {own}", "{server} 0 {own}", "x"]
)
def test_a_runner_that_is_gone_is_not_waited_for(
    engine: Engine, client: Client, runner: str
) -> None:
    server = bytes(engine.segment.header.instance).hex()
    own = pid_of(engine)
    name = runner.format(server=server, own=own, other=own + 1)
    assert change(engine, "once", "key", name) is True

    assert client.eval("return box.once('key', function() return 1 end)").data == []
    assert change(engine, "once", "key", "me") is False


def test_the_catalog_has_changed_when_it_returns(engine: Engine, client: Client) -> None:
    change(engine, "once", "key")
    change(engine, "create_principal", 1, "user", "new")
    source = "box.once('key', error) return box.schema.user.exists('new')"
    assert client.eval(source).data == [True]


@pytest.mark.parametrize("arguments", ["", "'key'", "'key', 5", "5, print", "nil, print"])
def test_wrong_arguments(client: Client, arguments: str) -> None:
    usage = (1, "Usage: box.once(key, func, ...)")
    assert error_of(client.eval(f"box.once({arguments})")) == usage


@pytest.mark.parametrize(
    ("mask", "denied"), [(0, "Read"), (1, "Write"), (2, "Read"), (3, "")]
)  # fmt: skip
def test_it_takes_rights_on_the_schema(
    engine: Engine, client: Client, mask: int, denied: str
) -> None:
    change(engine, "create_principal", 1, "user", "lim")
    if mask:
        change(engine, "grant", 1, "user", "lim", mask, "some", "space", 272, "_schema")
    text = f"{denied} access to space '_schema' is denied for user 'lim'"
    answer = client.eval("return box.session.su('lim', box.once, 'key', function() return 1 end)")
    assert error_of(answer) == ((42, text) if denied else (0, ""))
