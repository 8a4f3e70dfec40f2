"""Sessions end when their login holds no longer, after what they are owed, and only those."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from shm.states import EndReason
from tests.helpers import users
from tests.helpers.engine import Client, Engine
from tests.helpers.raw import EVAL, request
from tests.helpers.users import login

NAMES = (f"user{number}" for number in itertools.count())
DEFINE = """
local catalog = require('beespace.engine.catalog')
function set_password(...) catalog.change('set_password', ...) end"""
LOOK = "local l = require('beespace.engine.logins') l.tick()"


class User:
    """A user of the engine's catalog, with a session of its own."""

    def __init__(self, engine: Engine, name: str) -> None:
        self.engine = engine
        self.name = name
        self.id = users.add(engine, name, "secret")
        users.allow_everything(engine, name)

    def connect(self) -> Client:
        client = self.engine.connect()
        assert login(client, self.name, "secret").code == 0
        return client


@pytest.fixture
def user(engine: Engine) -> User:
    return User(engine, next(NAMES))


@pytest.fixture(autouse=True)
def _keep(engine: Engine) -> Iterator[None]:
    yield
    engine.execute("require('beespace.engine.logins').keep = false")


def look(engine: Engine) -> None:
    """What the loop does twice a second."""
    engine.execute(LOOK)
    engine.turn()


def ended(client: Client) -> bool:
    client.read()
    return client.ended


def drop(user: User) -> None:
    users.drop(user.engine, user.name)


def disable(user: User) -> None:
    users.disable(user.engine, user.name)


def change_password(user: User) -> None:
    users.set_password(user.engine, user.id, "other")


def take_password(user: User) -> None:
    users.set_password(user.engine, user.id, None)


def same_password(user: User) -> None:
    users.set_password(user.engine, user.id, "secret")


CHANGES = [drop, disable, change_password, take_password, same_password]


@pytest.mark.parametrize("change", CHANGES)
def test_the_sessions_of_the_user_end(user: User, change: object) -> None:
    one, two = user.connect(), user.connect()
    with user.engine.connect() as guest:
        assert callable(change)
        change(user)
        look(user.engine)
        assert ended(one)
        assert ended(two)
        assert one.slot.reason == EndReason.CREDENTIALS
        assert guest.in_step()
    for client in (one, two):
        client.close()
    user.engine.run_until(lambda: not (one.exists or two.exists))


def test_other_users_sessions_stay(engine: Engine, user: User) -> None:
    other = User(engine, next(NAMES))
    with other.connect() as client:
        drop(user)
        look(engine)
        assert client.in_step()
        assert client.eval("return box.session.user()").data == [other.name]


def test_a_session_that_became_guest_again_stays(user: User) -> None:
    with user.connect() as client:
        assert login(client, "guest", "").code == 0
        drop(user)
        look(user.engine)
        assert client.in_step()


def test_guests_stay_when_guest_is_disabled(engine: Engine, client: Client) -> None:
    login(client, "guest", "")
    users.disable(engine, "guest")
    look(engine)
    assert client.in_step()
    users.enable(engine, "guest")


def test_a_change_of_rights_ends_nothing(user: User) -> None:
    with user.connect() as client:
        users.make_super(user.engine, user.name)
        look(user.engine)
        assert client.in_step()


def test_sessions_may_be_kept_when_the_password_changes(user: User) -> None:
    user.engine.execute("require('beespace.engine.logins').keep = true")
    with user.connect() as client:
        change_password(user)
        look(user.engine)
        assert client.in_step()
        disable(user)
        look(user.engine)
        assert ended(client)


def test_the_loop_looks_by_itself(user: User) -> None:
    with user.connect() as client:
        drop(user)
        user.engine.run_until(lambda: client.take() >= 0 and client.ended, 10)


def test_what_the_batch_answers_is_sent_before(user: User) -> None:
    """The first request of a batch that needs rights sees the change; all have their answers."""
    with user.connect() as client:
        change_password(user)
        asked = [request({0: EVAL, 1: n}, {0x27: "return ...", 0x21: [n]}) for n in range(50)]
        client.send(b"".join(asked))
        answers = client.packets()
        assert [answer.sync for answer in answers] == list(range(50))
        assert client.ended


def test_what_waits_in_the_queue_is_sent_before(user: User) -> None:
    client = user.engine.connect(buffer=4096)
    assert login(client, user.name, "secret").code == 0
    client.offer(request({0: EVAL, 1: 9}, {0x27: "return ('x'):rep(300000)", 0x21: []}))
    user.engine.run()
    drop(user)
    look(user.engine)
    client.read()
    (answer,) = client.packets()
    assert len(answer.data[0]) == 300_000
    assert client.ended
    client.close()


def test_the_session_that_changes_its_own_password_stays(user: User) -> None:
    mine, other = user.connect(), user.connect()
    user.engine.execute(DEFINE)
    assert mine.eval("set_password(...)", user.id, users.stored("other")).code == 0
    user.engine.run()
    assert ended(other)
    assert mine.in_step()
    change_password(user)
    look(user.engine)
    assert ended(mine)
    mine.close()
    other.close()


def test_a_session_of_somebody_else_is_not_renewed(engine: Engine, user: User) -> None:
    other = User(engine, next(NAMES))
    with other.connect() as client, user.connect() as theirs:
        engine.execute(DEFINE)
        assert client.eval("set_password(...)", user.id, users.stored("other")).code == 0
        engine.run()
        assert ended(theirs)
        assert client.in_step()


def test_a_session_by_su_ends_with_its_user(engine: Engine, client: Client, user: User) -> None:
    assert client.eval("box.session.su(...)", user.name).code == 0
    drop(user)
    look(engine)
    assert ended(client)


def test_nothing_is_kept_of_sessions_that_have_left(engine: Engine, user: User) -> None:
    count = "return require('beespace.engine.logins').count"
    for _ in range(5):
        with user.connect() as client:
            assert engine.execute(count) == 1
            assert login(client, user.name, "secret").code == 0
            assert engine.execute(count) == 1
        assert engine.execute(count) == 0
    with user.connect() as client:
        login(client, "guest", "")
        assert engine.execute(count) == 0
