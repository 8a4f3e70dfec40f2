"""What a client may ask before it has logged in, where guests may do nothing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.helpers import users
from tests.helpers.engine import Client, Engine, error_of
from tests.helpers.raw import AUTH, CALL, CALL_16, EVAL, ID, PING, SELECT, request
from tests.helpers.requests import evaluation
from tests.helpers.users import login

REQUIRED = (258, "Authentication required")
WATCH, UNWATCH, WATCH_ONCE, VOTE = 74, 75, 77, 68


@pytest.fixture(scope="module", autouse=True)
def _bob(engine: Engine) -> None:
    users.add(engine, "bob", "secret")
    users.make_super(engine, "bob")


@pytest.fixture(autouse=True)
def _forbidden(engine: Engine) -> Iterator[None]:
    engine.execute("require('beespace.engine.access').guest_disabled = true")
    yield
    engine.execute("require('beespace.engine.access').guest_disabled = false")


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (CALL, {0x22: "box.session.id", 0x21: []}),
        (CALL, {0x21: [], 0x22: "box.session.id"}),
        (CALL, {0x22: "nosuch", 0x21: [1, 2, 3, 4]}),
        (CALL_16, {0x22: "box.session.id", 0x21: []}),
        (EVAL, {0x27: "return 1", 0x21: []}),
        (EVAL, {0x27: "return 1" + " " * 400, 0x21: []}),
        (SELECT, {0x10: 281, 0x12: 10, 0x20: []}),
        (2, {0x10: 512, 0x21: [1]}),
        (11, {}),
        (WATCH, {0x57: "key"}),
        (WATCH, {0x57: "box.shutdown"}),
        (UNWATCH, {0x57: "internal.ballot"}),
        (WATCH_ONCE, {0x57: "internal.ballot"}),
        (999, None),
    ],
)
def test_what_is_refused(client: Client, kind: int, body: object) -> None:
    assert error_of(client.request(kind, body)) == REQUIRED
    assert client.in_step()


@pytest.mark.parametrize(
    ("kind", "body"), [(PING, None), (PING, {}), (ID, {0x54: 6, 0x55: []}), (VOTE, {})]
)
def test_what_is_answered(client: Client, kind: int, body: object) -> None:
    assert client.request(kind, body).code == 0


def test_the_ballot_may_be_watched(client: Client) -> None:
    (event,) = client.exchange(request({0: WATCH, 1: 3}, {0x57: "internal.ballot"}))
    assert (event.type, event.sync) == (76, 3)


def test_a_broken_watch_is_said_to_be_broken(client: Client) -> None:
    assert client.request(WATCH, {}).code == 69
    assert client.request(WATCH).code == 20


def test_everything_is_open_after_a_login(client: Client) -> None:
    assert error_of(client.eval("return 1")) == REQUIRED
    assert login(client, "bob", "wrong").code == 47
    assert error_of(client.eval("return 1")) == REQUIRED
    assert login(client, "bob", "secret").code == 0
    assert client.eval("return 1").data == [1]
    assert client.request(CALL_16, {0x22: "box.session.id", 0x21: []}).data == [[client.id]]


def test_a_login_as_guest_opens_nothing(client: Client) -> None:
    assert client.request(AUTH, {0x23: "guest", 0x21: []}).code == 0
    assert error_of(client.eval("return 1")) == REQUIRED


def test_requests_of_streams(client: Client) -> None:
    answers = client.exchange(evaluation(1, "return 1", stream=5) + evaluation(2, "", stream=5))
    assert [error_of(answer) for answer in answers] == [REQUIRED, REQUIRED]


def test_a_session_that_becomes_guest_while_its_stream_waits(client: Client) -> None:
    assert login(client, "bob", "secret").code == 0
    first = "box.session.su('guest') require('fiber').sleep(0.001) return 1"
    answers = client.answers(
        evaluation(1, first, stream=5) + evaluation(2, "return 2", stream=5), 2
    )
    assert [error_of(answer) for answer in answers] == [(0, ""), REQUIRED]


def test_no_callback_sees_what_is_refused(engine: Engine, client: Client) -> None:
    engine.execute("seen = 0 box.iproto.override(999, function() seen = seen + 1 return false end)")
    try:
        assert error_of(client.request(999)) == REQUIRED
        assert engine.execute("return seen") == 0
        login(client, "bob", "secret")
        assert client.request(999).code == 48
        assert engine.execute("return seen") == 1
    finally:
        engine.execute("box.iproto.override(999, nil)")


def test_background_code_is_not_meant(engine: Engine) -> None:
    assert engine.execute("return box.session.user()") == b"admin"
    engine.execute("require('beespace.engine.warmup').run()")
