"""box.session.kill and cancel: which sessions are meant, whose one may end, what is wrong."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.helpers.engine import Client, Engine, error_of
from tests.helpers.kills import (
    claim,
    engine_with_notes,
    settle,
)
from tests.helpers.requests import evaluation
from tests.helpers.users import add, allow_everything, change, give, number


@pytest.fixture
def engine() -> Iterator[Engine]:
    with engine_with_notes() as made:
        yield made


def test_the_sessions_of_a_filter(engine: Engine) -> None:
    with engine.connect() as client:
        clients = [engine.connect(b"10.0.%d.1:1" % (number % 2)) for number in range(6)]
        assert client.eval("return box.session.kill{peer = '10.0.0.0/24'}").data == [3]
        engine.run()
        assert [each.exists for each in clients] == [False, True] * 3
        source = "return box.session.kill{peer = '10.0.0.0/8', order = '-id', limit = 2}"
        assert client.eval(source).data == [2]
        assert [each.exists for each in clients[1::2]] == [True, False, False]
        assert client.eval("return box.session.kill{peer = '10.9.0.0/16'}").data == [0]
        assert client.eval("return box.session.cancel{not_id = box.session.id()}").data == [1]
        assert clients[1].in_step()


def test_a_filter_may_mean_the_own_session(engine: Engine) -> None:
    client, other = engine.connect(), engine.connect()
    client.send(evaluation(1, "box.session.kill{type = 'binary'}"))
    assert settle(engine, client, other) == [f"{other.id} killed nil", f"{client.id} killed nil"]


def test_a_filter_means_what_the_user_may_see(engine: Engine, bob: Client) -> None:
    with engine.connect() as other:
        with engine.connect() as own:
            give(own, number(engine, "bob"))
            source = "return box.session.kill{not_id = box.session.id()}"
            assert bob.eval(source).data == [1]
            engine.run()
            assert not own.exists
        named = "return box.session.kill{id = {999, ...}}"
        assert error_of(bob.eval(named, other.id)) == (42, DENIED.format(other.id))
        change(engine, "grant", 1, "user", "bob", 1, "read", "session", None, "", False)
        assert error_of(bob.eval(source)) == (42, DENIED.format(other.id))
        assert other.in_step()
        change(engine, "grant", 1, "user", "bob", 2, "write", "session", None, "", False)
        assert bob.eval(source).data == [1]


@pytest.fixture
def bob(engine: Engine) -> Iterator[Client]:
    """A session of a user who may evaluate what he likes."""
    add(engine, "bob")
    allow_everything(engine, "bob")
    with engine.connect() as made:
        give(made, number(engine, "bob"))
        yield made


DENIED = "Write access to session '{}' is denied for user 'bob'"


@pytest.mark.parametrize("name", ["kill", "cancel"])
def test_a_user_ends_sessions_of_the_same_user_only(engine: Engine, bob: Client, name: str) -> None:
    end = f"return box.session.{name}(...)"
    with engine.connect() as other, engine.connect() as own:
        give(own, number(engine, "bob"))
        for session in (other.id, claim(engine)):
            assert error_of(bob.eval(end, session)) == (42, DENIED.format(session))
        assert bob.eval(end, own.id).data == [1]
        assert bob.eval(end, 999).data == [0]
        assert other.in_step()


@pytest.mark.parametrize(
    ("rights", "on_what", "may"),
    [
        ((2, "write"), "session", True),
        ((1, "read"), "session", False),
        ((2, "write"), "universe", True),
    ],
)
def test_rights_on_sessions(
    engine: Engine, bob: Client, rights: tuple[int, str], on_what: str, may: bool
) -> None:
    change(engine, "grant", 1, "user", "bob", *rights, on_what, None, "", False)
    with engine.connect() as other:
        answer = bob.eval("return box.session.kill(...)", other.id)
        expected = (0, "") if may else (42, DENIED.format(other.id))
        assert error_of(answer) == expected


def test_it_is_the_effective_user_that_counts(engine: Engine, bob: Client) -> None:
    with engine.connect() as client, engine.connect() as other:
        source = "return box.session.su('bob', box.session.kill, ...)"
        give(client, 1)
        assert error_of(client.eval(source, other.id)) == (42, DENIED.format(other.id))


EXPECTED_ID = "expected the id of a session"


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ("", f"got null, {EXPECTED_ID}"),
        ("-1", f"got -1, {EXPECTED_ID}"),
        ("1.5", f"got 1.5, {EXPECTED_ID}"),
        ("2^53", f"got 9.007199254741e+15, {EXPECTED_ID}"),
        ("'7'", f"got '7', {EXPECTED_ID}"),
        ("{}", "got a filter that means every session, expected one that tells some from others"),
        (
            "{limit = 5, order = 'age'}",
            "got a filter that means every session, expected one that tells some from others",
        ),
        ("{user = 7}", "user: got 7, expected the name of a user, or a list of such"),
        ("1, 5", "got 5 as options, expected a table"),
        ("1, {now = true}", "unexpected option 'now', expected timeout"),
        ("1, {timeout = 0}", "timeout: got 0, expected a number of seconds above 0"),
        ("1, {timeout = '5'}", "timeout: got '5', expected a number of seconds above 0"),
        ("1, {timeout = 1/0}", "timeout: got inf, expected a number of seconds above 0"),
        ("1, {timeout = 0/0}", "timeout: got nan, expected a number of seconds above 0"),
    ],
)
def test_wrong_arguments(engine: Engine, given: str, text: str) -> None:
    with engine.connect() as client:
        for name in ("kill", "cancel"):
            answer = client.eval(f"return box.session.{name}({given})")
            assert error_of(answer) == (1, f"box.session.{name}: {text}")


def test_numbers_of_c_are_ids(engine: Engine) -> None:
    with engine.connect() as client, engine.connect() as other:
        source = "return box.session.kill(require('ffi').new('uint64_t', ...))"
        assert client.eval(source, other.id).data == [1]


def test_where_nothing_can_wait(engine: Engine) -> None:
    with engine.connect() as client, engine.connect() as other, engine.connect() as foreign:
        source = (
            "local id = ... return (('x'):gsub('x', function() return box.session.kill(id) end))"
        )
        assert client.eval(source, other.id).data == ["1"]
        foreign.slot.worker = 1
        text = "attempt to yield across C-call boundary"
        assert error_of(client.eval(source, foreign.id)) == (32, text)
        foreign.slot.worker = 0
        assert foreign.in_step()
