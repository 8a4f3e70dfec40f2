"""Why a session has ended, in the log: every one at level verbose."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.helpers import users
from tests.helpers.engine import Client, Engine
from tests.helpers.users import login
from tests.workers.lua.test_lifetimes import OFF, await_end


@pytest.fixture(autouse=True)
def _level(engine: Engine) -> Iterator[None]:
    yield
    engine.apply({"log.level": "info", **OFF})


def leave(client: Client) -> None:
    client.close()


def babble(client: Client) -> None:
    client.exchange(b"\xff")


def be_silent(client: Client) -> None:
    client.engine.apply({"session.idle_timeout": 0.1})
    await_end(client)


ENDS = [(leave, "client"), (babble, "error"), (be_silent, "idle")]


@pytest.mark.parametrize(("end", "reason"), ENDS)
def test_every_end_has_a_line(
    engine: Engine,
    capfd: pytest.CaptureFixture[str],
    end: Callable[[Client], None],
    reason: str,
) -> None:
    for level, count in (("verbose", 1), ("info", 0)):
        engine.apply({"log.level": level})
        client = engine.connect(b"127.0.0.1:4713")
        number = client.id
        end(client)
        engine.apply(OFF)
        lines = capfd.readouterr().err.splitlines()
        line = f"worker/{number} V> connection 127.0.0.1:4713 ended: {reason}"
        assert sum(each.endswith(line) for each in lines) == count


def test_the_end_of_a_login_has_one_anyway(
    engine: Engine, capfd: pytest.CaptureFixture[str]
) -> None:
    user = users.add(engine, "gone", "secret")
    with engine.connect(b"127.0.0.1:4714") as client:
        assert login(client, "gone", "secret").code == 0
        users.set_password(engine, user, "another")
        engine.execute("require('beespace.engine.logins').tick()")
        engine.run_until(lambda: client.take() >= 0 and client.ended)
    assert (
        "I> closing connection 127.0.0.1:4714: its login holds no longer" in capfd.readouterr().err
    )
