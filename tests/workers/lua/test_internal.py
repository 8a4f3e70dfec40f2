"""box.internal.session: idle timeouts by the names of users."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.helpers import users
from tests.helpers.engine import Engine, error_of
from tests.workers.lua.test_lifetimes import OFF, await_end, turn_for

SET = "box.internal.session.idle_timeout_set(...)"
RESET = "box.internal.session.idle_timeout_reset(...)"
OPTION = "Incorrect value for option 'session_idle_timeout': "


@pytest.fixture(autouse=True)
def _limits(engine: Engine) -> Iterator[None]:
    engine.apply(OFF)
    yield
    engine.apply(OFF)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ((), "user name must be a string"),
        ((5, 1), "user name must be a string"),
        (("guest",), "timeout must be a number"),
        (("guest", "1"), "timeout must be a number"),
        (("guest", -1), "timeout must be >= 0"),
        (("guest", float("nan")), "timeout must be >= 0"),
    ],
)
def test_wrong_values_change_nothing(
    engine: Engine, arguments: tuple[object, ...], why: str
) -> None:
    with engine.connect() as client:
        assert client.eval(SET, "guest", 7).code == 0
        assert error_of(client.eval(SET, *arguments)) == (59, OPTION + why)
    assert engine.execute("return require('beespace.engine.idle').of(0)") == 7


def test_reset_takes_nothing(engine: Engine) -> None:
    with engine.connect() as client:
        usage = "Usage: box.internal.session.idle_timeout_reset()"
        assert error_of(client.eval(RESET, 1)) == (32, usage)


def test_only_new_sessions_follow(engine: Engine) -> None:
    with engine.connect() as before:
        before.eval(SET, "guest", 0.1)
        with engine.connect() as after:
            await_end(after)
        before.eval(RESET)
        with engine.connect() as later:
            turn_for(engine, 0.3)
            assert later.in_step()
        assert before.in_step()


def test_the_user_need_not_exist_yet(engine: Engine) -> None:
    engine.execute(SET, b"to come", 9)
    uid = users.add(engine, "to come")
    engine.execute("require('beespace.engine.catalog').refresh()")
    assert engine.execute("return require('beespace.engine.idle').of(...)", uid) == 9
