"""Sessions counted by user, and what happens to those that are too many."""

from __future__ import annotations

import contextlib
import itertools
import socket
from collections.abc import Iterator

import pytest

from shm.states import EndReason, SlotState
from tests.helpers import users
from tests.helpers.engine import Client, Engine, error_of
from tests.helpers.requests import evaluation
from tests.helpers.users import login
from tests.workers.lua.test_session_new import end, give_back, offer

__all__ = ["end"]

NAMES = (f"tallied {number}" for number in itertools.count())
OF = "return require('beespace.engine.tallies').of(...)"
PROTOCOL = 104


class User:
    """A user of the engine, who may have two sessions."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.name = next(NAMES)
        self.id = users.add(engine, self.name, "secret")
        users.allow_everything(engine, self.name)
        self.full = f"session limit of user '{self.name}' reached: 2 of 2 sessions are in use"

    @property
    def tally(self) -> int:
        return int(self.engine.execute(OF, self.id))

    def connect(self) -> Client:
        client = self.engine.connect()
        assert login(client, self.name, "secret").code == 0
        return client


@pytest.fixture
def user(engine: Engine) -> Iterator[User]:
    engine.apply({"session.limits.per_user": 2})
    yield User(engine)
    engine.apply({"session.limits.per_user": 0})


def test_a_login_too_many_is_refused(user: User, capfd: pytest.CaptureFixture[str]) -> None:
    with user.connect(), user.connect() as second, user.engine.connect() as third:
        assert user.tally == 2
        refusal = login(third, user.name, "secret")
        assert error_of(refusal) == (PROTOCOL, user.full)
        assert third.eval("return box.session.user()").data == ["guest"]
        line = f"login of user '{user.name}' from 127.0.0.1:4000 refused, session.limits.per_user"
        assert line in capfd.readouterr().err

        # Who is in may log in again, as the same user or as another one.
        assert login(second, user.name, "secret").code == 0
        assert login(second, "guest", "").code == 0
        assert user.tally == 1
        assert login(third, user.name, "secret").code == 0
    assert user.tally == 0


def test_on_auth_is_not_told_of_a_login_too_many(user: User) -> None:
    user.engine.execute("told = 0 on = box.session.on_auth(function() told = told + 1 end)")
    with user.connect(), user.connect(), user.engine.connect() as third:
        login(third, user.name, "secret")
        assert user.engine.execute("return told") == 2
    user.engine.execute("box.session.on_auth(nil, on)")


def test_who_came_first_while_on_auth_waits(user: User) -> None:
    """The check before on_auth let both pass; one of them is too many."""
    user.engine.execute(
        "on = box.session.on_auth(function() require('beespace.engine.fibers').suspend(0.05) end)"
    )
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(user.engine.connect()) for _ in range(3)]
        source = "return box.session.user()"
        for client in clients:
            client.send(users.auth(1, user.name, "secret"))
        answers = [client.answers(b"", 1)[0].code for client in clients]
        names = [client.eval(source).data[0] for client in clients]
    user.engine.execute("box.session.on_auth(nil, on)")
    assert sorted(answers) == [0, 0, PROTOCOL]
    assert sorted(names) == ["guest", user.name, user.name]


def test_su_counts(user: User) -> None:
    with user.connect(), user.connect(), user.engine.connect() as third:
        source = "return pcall(box.session.su, ...)"
        ok, raised = third.eval(source, user.name).data
        assert (ok, str(raised)) == (False, user.full)
        # For one function it is nobody's session.
        assert third.eval("return box.session.su(..., box.session.euid)", user.name).code == 0
        assert user.tally == 2
    with user.engine.connect() as client:
        assert client.eval("box.session.su(...)", user.name).code == 0
        assert user.tally == 1
        assert login(client, "guest", "").code == 0
        assert user.tally == 0


def test_guest_and_admin_have_no_limit(user: User) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(5):
            client = stack.enter_context(user.engine.connect())
            assert client.eval("box.session.su('admin')").code == 0


def test_requests_that_outlive_their_client_do_not_count(user: User) -> None:
    client = user.connect()
    client.send(evaluation(1, "repeat require('fiber').sleep(0.01) until go"))
    client.socket.close()
    user.engine.run_until(lambda: client.slot.reason == EndReason.CLIENT)
    assert client.exists
    assert user.tally == 0
    user.engine.execute("go = true")
    user.engine.run_until(lambda: not client.exists)
    assert user.tally == 0


def test_a_new_session_counts(user: User, end: tuple[socket.socket, int]) -> None:
    engine = user.engine
    wanted = f"box.session.new{{fd = ..., user = '{user.name}'}}"
    with user.connect() as first:
        engine.execute(wanted, end[1])
        session = give_back(engine, *offer(engine))
        assert user.tally == 2
        assert error_of(first.eval(wanted, 900)) == (PROTOCOL, user.full)
        end[0].close()
        engine.run_until(lambda: not engine.table.exists(session))
        assert user.tally == 1


def test_a_new_session_that_comes_too_late(
    user: User, end: tuple[socket.socket, int], capfd: pytest.CaptureFixture[str]
) -> None:
    """Others were faster while it was on its way."""
    engine = user.engine
    engine.execute(f"box.session.new{{fd = ..., user = '{user.name}'}}", end[1])
    coming = offer(engine)
    with user.connect(), user.connect():
        session = give_back(engine, *coming)
        assert user.full.encode() in end[0].recv(4096)
        assert user.tally == 2
        assert engine.slot(session).reason == EndReason.LIMIT
        line = f"I> closing connection unix/:(socket): {user.full}"
        assert line in capfd.readouterr().err
        end[0].close()
        engine.run_until(lambda: not engine.table.exists(session))


def test_consoles_and_the_control_socket_do_not_count(user: User) -> None:
    with user.connect(), user.connect():
        user.engine.segment.header.control_listener = 0
        with user.engine.connect() as control:
            assert control.eval("box.session.su(...)", user.name).code == 0
        user.engine.segment.header.control_listener = 255
        assert user.tally == 2


def test_what_a_dead_worker_held_is_forgotten(user: User) -> None:
    """Its slots are freed by the supervisor, who leaves the tallies alone."""
    engine = user.engine
    with user.connect():
        claimed = engine.table.claim(b"peer", 1, bytes(20))
        assert claimed is not None
        slot = engine.slot(claimed)
        slot.fd, slot.uid, slot.state = 5, user.id, SlotState.LIVE
        engine.execute("require('beespace.engine.table').header.tallied = 1e6")
        assert user.tally == 2
        engine.table.reclaim(1, frozenset({SlotState.LIVE}))
        # The row of that worker is beyond those of this server.
        engine.row.reclaimed += 1
        assert user.tally == 1


def test_users_that_are_gone_leave_room(engine: Engine) -> None:
    engine.execute(
        "local t = require('beespace.engine.tallies') for uid = 2, 5000 do t.of(uid) end"
    )
    assert engine.segment.header.tallies_used <= engine.segment.header.tallies


def test_the_limit_may_be_lowered(user: User) -> None:
    with user.connect() as one, user.connect() as two:
        user.engine.apply({"session.limits.per_user": 1})
        assert one.in_step()
        assert two.in_step()
        with user.engine.connect() as third:
            text = f"session limit of user '{user.name}' reached: 2 of 1 sessions are in use"
            assert login(third, user.name, "secret").text == text
