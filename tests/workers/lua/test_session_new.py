"""box.session.new: what it takes, and the session that comes of it (with engine/adoption)."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from shm import channel, layout
from tests.helpers.engine import SALT, Client, Engine, error_of
from tests.helpers.raw import GREETING_SIZE, Packet, decode, request

EVAL = 8
ILLEGAL = 1
NO_SUCH_USER = 45
DENIED = 42


@pytest.fixture
def end() -> Iterator[tuple[socket.socket, int]]:
    """A client's socket, and the number of the descriptor that a session shall be made of."""
    client, other = socket.socketpair()
    client.settimeout(5)
    number = other.detach()
    yield client, number
    client.close()
    with contextlib.suppress(OSError):
        os.close(number)


def offer(engine: Engine) -> tuple[int, int]:
    """What the acceptor gets: number and descriptor."""
    found = channel.receive_offer(engine.acceptor)
    assert found is not None
    number, fd = found
    assert fd is not None
    return number, fd


def give_back(engine: Engine, number: int, fd: int, peer: bytes = b"unix/:(socket)") -> int:
    """What the acceptor does: the new session's id."""
    session = engine.table.claim(peer, 0, SALT, layout.ADOPTED)
    assert session is not None
    channel.send_fds(engine.acceptor, channel.pack_ids([0, session, number]), [fd])
    os.close(fd)
    engine.run()
    return session


def ask(engine: Engine, client: socket.socket, source: str) -> list[Any]:
    """The values of an EVAL over a plain socket."""
    client.sendall(request({0: EVAL, 1: 1}, {0x27: source, 0x21: []}))
    engine.run()
    data = client.recv(65536)
    packet: Packet = decode(data[:5], data[5:])
    return packet.data


@pytest.mark.parametrize(
    ("options", "code", "text"),
    [
        ("", ILLEGAL, "options should be a table"),
        ("5", ILLEGAL, "options should be a table"),
        ("{foo = 1}", ILLEGAL, "unexpected option 'foo'"),
        ("{1}", ILLEGAL, "unexpected option '1'"),
        ("{type = 1}", ILLEGAL, "options parameter 'type' should be of type string"),
        (
            "{type = 'foo', fd = 1}",
            ILLEGAL,
            "invalid session type 'foo', the only supported type is 'binary'",
        ),
        ("{type = 'binary'}", ILLEGAL, "options parameter 'fd' is mandatory"),
        ("{fd = 'x'}", ILLEGAL, "options parameter 'fd' should be of type number"),
        ("{fd = -1}", ILLEGAL, "options parameter 'fd' must be nonnegative integer"),
        ("{fd = 1.5}", ILLEGAL, "options parameter 'fd' must be nonnegative integer"),
        ("{fd = 0/0}", ILLEGAL, "options parameter 'fd' must be nonnegative integer"),
        ("{fd = 2^31}", ILLEGAL, "options parameter 'fd' must be nonnegative integer"),
        ("{fd = 2^32 + 7}", ILLEGAL, "options parameter 'fd' must be nonnegative integer"),
        ("{fd = 1e300}", ILLEGAL, "options parameter 'fd' must be nonnegative integer"),
        ("{fd = 1}", ILLEGAL, "options parameter 'fd' is in use by the server itself"),
        (
            "{fd = box.session.fd()}",
            ILLEGAL,
            "options parameter 'fd' is in use by the server itself",
        ),
        ("{fd = 900, user = 1}", ILLEGAL, "options parameter 'user' should be of type string"),
        ("{fd = 900, storage = 1}", ILLEGAL, "options parameter 'storage' should be of type table"),
        ("{fd = 900, user = 'foo'}", NO_SUCH_USER, "User 'foo' is not found"),
        ("{fd = 900, user = 'public'}", NO_SUCH_USER, "User 'public' is not found"),
    ],
)
def test_what_it_refuses(
    engine: Engine, client: Client, options: str, code: int, text: str
) -> None:
    answer = client.eval(f"return box.session.new({options})")
    assert (answer.code, answer.text) == (code, text)
    assert channel.receive_offer(engine.acceptor) is None


def test_the_session_of_a_descriptor(
    engine: Engine, client: Client, end: tuple[socket.socket, int]
) -> None:
    mine, fd = end
    source = "kept = {x = 5} return box.session.new{type = 'binary', fd = ..., storage = kept}"
    assert client.eval(source, fd).data == []
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(fd)
    session = give_back(engine, *offer(engine))
    assert mine.recv(1000)[:10] == b"Tarantool "
    found = ask(
        engine,
        mine,
        "local s = box.session s.storage.y = 6 return s.id(), s.user(), s.peer(), s.type(), "
        "s.storage.x, s.fd() >= 0, s.exists()",
    )
    assert found == [session, "guest", "unix/:(socket)", "binary", 5, True, 1]
    assert client.eval("return kept.y").data == [6]
    mine.close()
    engine.run()
    assert not engine.table.exists(session)


def test_users(engine: Engine, client: Client, end: tuple[socket.socket, int]) -> None:
    mine, fd = end
    client.eval("box.session.new{fd = ..., user = 'admin'}", fd)
    give_back(engine, *offer(engine))
    assert len(mine.recv(1000)) == GREETING_SIZE
    assert ask(engine, mine, "return box.session.user(), box.session.euid()") == ["admin", 1]


def test_they_end_when_their_user_gets_another_password(
    fresh: Engine, end: tuple[socket.socket, int]
) -> None:
    mine, fd = end
    fresh.execute("box.session.new{fd = ..., user = 'admin'}", fd)
    session = give_back(fresh, *offer(fresh))
    fresh.execute(
        "require('beespace.engine.catalog').change('set_password', 1, ('x'):rep(20))",
    )
    fresh.turn()
    assert len(mine.recv(1000)) == GREETING_SIZE
    assert mine.recv(1000) == b""
    mine.close()
    fresh.run_until(lambda: not fresh.table.exists(session))


@pytest.mark.parametrize("bad", [900, 2**31 - 1, "pipe"])
def test_a_descriptor_that_is_no_socket(fresh: Engine, bad: float | str) -> None:
    fresh.execute(
        "box.session.on_connect(function() table.insert(log, tostring(box.session.peer())) end) "
        "box.session.on_disconnect(function() table.insert(log, 'left') end)"
    )
    pipe = os.pipe()
    with fresh.connect() as client:
        fresh.execute("log = {}")
        fd = pipe[0] if bad == "pipe" else bad
        assert client.eval("return box.session.new{fd = ...}", fd).data == []
        session = give_back(fresh, *offer(fresh), peer=b"")
        fresh.run_until(lambda: not fresh.table.exists(session))
        assert fresh.execute("return table.concat(log, ' ')") == b"0.0.0.0:0 left"
    for fd in pipe:
        os.close(fd)


@pytest.fixture
def fresh() -> Iterator[Engine]:
    with Engine(warm=False) as made:
        made.execute("log = {}")
        yield made


def test_functions_of_on_connect_see_user_and_storage(
    fresh: Engine, end: tuple[socket.socket, int]
) -> None:
    mine, fd = end
    fresh.execute(
        "box.session.on_connect(function() "
        "table.insert(log, box.session.user() .. ' ' .. tostring(box.session.storage.x)) end)"
    )
    fresh.execute("box.session.new{fd = ..., user = 'admin', storage = {x = 1}}", fd)
    give_back(fresh, *offer(fresh))
    assert len(mine.recv(1000)) == GREETING_SIZE
    assert fresh.execute("return log[1]") == b"admin 1"


def test_offers_that_a_dead_acceptor_took_are_forgotten(fresh: Engine) -> None:
    ends = [socket.socketpair() for _ in range(3)]
    for number, (_, other) in enumerate(ends, 1):
        fresh.execute(
            "local fd, n = ... box.session.new{fd = fd, storage = {n = n}}", other.detach(), number
        )
    offers = [offer(fresh) for _ in ends]
    os.close(offers[0][1])
    for number, fd in offers[1:]:
        session = give_back(fresh, number, fd)
        storages = "getmetatable(box.session).aggregate_storage"
        assert fresh.execute(f"return {storages}[...].n", session) == number
    # One that was given back already, and one that never was offered: sessions like any other.
    for number, (client, other) in ((2, socket.socketpair()), (99, socket.socketpair())):
        session = give_back(fresh, number, other.detach())
        assert fresh.slot(session).uid == 0
        client.close()
    for client, _ in ends:
        client.close()


def test_the_channel_is_full(fresh: Engine) -> None:
    fresh.execute("require('beespace.engine.adoption').attach(-1, {})")
    client, other = socket.socketpair()
    fd = other.detach()
    refused = "local ok, err = pcall(box.session.new, {fd = ...}) return ok, err.message"
    ok, text = fresh.execute(refused, fd)
    assert not ok
    assert text == b"too many new sessions at a time"
    os.close(fd)
    client.close()


def test_another_user_is_for_admin_and_super_only() -> None:
    with Engine(warm=False, open_to_guests=False) as engine:
        attempt = """
        local fd, uid, name = ...
        local user = require('beespace.engine.user')
        local ok, err = pcall(user.as, uid, box.session.new, {fd = fd, user = name})
        return ok, ok or err.code, ok or err.message
        """
        for name in (b"admin", b"nosuch"):
            found = engine.execute(attempt, 900, 0, name)
            text = b"Session access to user '" + name + b"' is denied for user 'guest'"
            assert tuple(found) == (False, DENIED, text)
        assert engine.execute(attempt, 900, 1, b"nosuch")[1] == NO_SUCH_USER
        assert channel.receive_offer(engine.acceptor) is None
        for uid, name in ((0, b"guest"), (1, b"admin"), (1, b"guest")):
            assert engine.execute(attempt, 900, uid, name)[0]
            os.close(offer(engine)[1])


def test_a_full_table_is_an_error_and_leaves_the_descriptor() -> None:
    one, other = socket.socketpair()
    with Engine(capacity=2, warm=False) as engine, engine.connect() as client:
        with engine.connect():
            answer = client.eval("return box.session.new{fd = ...}", other.fileno())
            assert error_of(answer) == (115, "session limit reached: 2 of 2 sessions are in use")
        other.send(b"still ours")
        assert one.recv(100) == b"still ours"
        assert client.eval("return box.session.new{fd = ...}", other.detach()).data == []
    one.close()


def test_the_socket_of_a_session_that_has_just_ended_is_not_for_sale() -> None:
    with Engine(warm=False) as engine, engine.connect() as client, engine.connect() as gone:
        fd = gone.fd
        gone.exchange(b"\xff")
        assert not gone.exists
        answer = client.eval("return box.session.new{fd = ...}", fd)
        assert error_of(answer) == (1, "options parameter 'fd' is in use by the server itself")
