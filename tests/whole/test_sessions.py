"""Sessions as the stock connector sees them: one table, whichever worker answers."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.helpers.server import DATA, Server, running
from tests.whole.conftest import await_gone
from tests.whole.connectors import connect, connected, local_name

CONNECTIONS = 16
WORKERS = 2


@dataclass(frozen=True)
class Member:
    """A connection with what the server says about it."""

    connection: Any
    id: int
    worker: int
    peer: str


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("sessions")
    with running(folder, app=DATA / "whole_app.lua", workers=WORKERS) as started:
        yield started


@pytest.fixture(scope="module")
def members(server: Server) -> Iterator[list[Member]]:
    with connected(server.address, CONNECTIONS) as connections:
        yield [member(connection) for connection in connections]


def member(connection: Any) -> Member:
    number, worker, _ = connection.call("whereami").data
    return Member(connection, number, worker, local_name(connection))


def test_every_worker_has_its_share(server: Server, members: list[Member]) -> None:
    """A worker that stalls gets none meanwhile; the next ones then make up for it."""
    workers = [m.worker for m in members]
    with contextlib.ExitStack() as stack:
        for _ in range(3):
            if workers.count(0) == workers.count(1):
                break
            more = stack.enter_context(connected(server.address, CONNECTIONS))
            workers += [member(connection).worker for connection in more]
    assert workers.count(0) == workers.count(1) == len(workers) // WORKERS


def test_ids_are_counted(members: list[Member]) -> None:
    first = members[0].id
    assert [m.id for m in members] == list(range(first, first + CONNECTIONS))


def test_every_pair_exists(members: list[Member]) -> None:
    wrong = [
        (asker.id, other.id)
        for asker in members
        for other in members
        if asker.connection.call("box.session.exists", other.id).data != [1]
    ]
    assert wrong == []


def test_every_pair_has_its_peer(members: list[Member]) -> None:
    wrong = [
        (asker.id, other.id)
        for asker in members
        for other in members
        if asker.connection.call("box.session.peer", other.id).data != [other.peer]
    ]
    assert wrong == []


def test_eval_sees_the_same(members: list[Member]) -> None:
    for asker, other in zip(members, reversed(members), strict=True):
        told = asker.connection.eval(
            "local id = ... return box.session.exists(id), box.session.peer(id), box.session.id()",
            other.id,
        )
        assert told.data == [1, other.peer, asker.id]


def test_storage_is_the_sessions_own(members: list[Member]) -> None:
    for m in members:
        assert m.connection.call("kept").data == [None]
    for m in members:
        m.connection.call("keep", {"of": m.id})
    for m in members:
        assert m.connection.call("kept").data == [{"of": m.id}]


def test_a_closed_session_vanishes_everywhere(server: Server, members: list[Member]) -> None:
    for _ in range(WORKERS):
        connection = connect(server.address)
        gone = member(connection)
        assert {m.connection.call("box.session.exists", gone.id).data[0] for m in members} == {1}
        connection.close()
        for m in members:
            await_gone(m.connection, gone.id)
            assert m.connection.call("box.session.peer", gone.id).data == ["0.0.0.0:0"]


def test_ids_are_not_used_again(server: Server, members: list[Member]) -> None:
    seen = [m.id for m in members]
    for _ in range(20):
        with contextlib.closing(connect(server.address)) as connection:
            seen.append(member(connection).id)
    assert len(set(seen)) == len(seen)
    assert seen == sorted(seen)


def test_storage_does_not_outlive_its_session(server: Server) -> None:
    for _ in range(4):
        with contextlib.closing(connect(server.address)) as connection:
            assert connection.call("kept").data == [None]
            connection.call("keep", "left behind")


@pytest.mark.parametrize("number", [0, -1, 10**6, 2**53, 2**63, 2**64 - 1])
def test_ids_that_never_were(members: list[Member], number: int) -> None:
    for m in members[:2]:
        assert m.connection.call("box.session.exists", number).data == [0]
