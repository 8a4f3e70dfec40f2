"""Users and passwords over two workers: stock connectors, failures and their delays, guests."""

from __future__ import annotations

import asyncio
import contextlib
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asynctnt
import pytest
import tarantool
from asynctnt.exceptions import TarantoolDatabaseError

from tests.helpers.raw import Raw
from tests.helpers.server import Server
from tests.helpers.wait import tries, wait_until
from tests.whole.logins import PASSWORD, WHO, serve

WRONG = "User not found or supplied credentials are invalid"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Two workers; guest may do nothing."""
    with serve(tmp_path_factory.mktemp("login")) as made:
        yield made


@pytest.fixture(autouse=True)
def _no_failures(server: Server) -> None:
    with Raw(server.control) as owner:
        assert owner.eval("box.security.reset()").code == 0


# Connectors


def stock(server: Server, user: str | None, password: str | None = None) -> Any:
    host, port = server.address
    return tarantool.Connection(
        host, port, user=user, password=password, reconnect_max_attempts=0, socket_timeout=10
    )


def test_the_stock_connector(server: Server) -> None:
    seen = set()
    with contextlib.ExitStack() as stack:
        for _ in tries():
            connection = stack.enter_context(contextlib.closing(stock(server, "bob", PASSWORD)))
            name, effective, worker = connection.eval(WHO).data
            assert (name, effective) == ("bob", "bob")
            seen.add(worker)
            if seen == {0, 1}:
                break
    assert seen == {0, 1}


@pytest.mark.parametrize(
    ("user", "password"),
    [("bob", "wrong"), ("nosuch", PASSWORD), ("bare", ""), ("admin", ""), ("super", PASSWORD)],
)
def test_the_stock_connector_is_refused(server: Server, user: str, password: str) -> None:
    with pytest.raises(tarantool.DatabaseError) as caught:
        stock(server, user, password)
    assert caught.value.args[0].args == (47, WRONG)


def test_asynctnt(server: Server) -> None:
    async def run() -> None:
        host, port = server.address
        options = {"host": host, "port": port, "reconnect_timeout": 0}
        connections: list[Any] = []
        workers = set()
        for _ in tries():
            connections += await asyncio.gather(
                *(
                    asynctnt.connect(username=user, password=PASSWORD, **options)
                    for user in ("bob", "eve") * 10
                )
            )
            answers = await asyncio.gather(*(each.eval(WHO) for each in connections[-20:]))
            assert [answer[0] for answer in answers] == ["bob", "eve"] * 10
            workers |= {answer[2] for answer in answers}
            if workers == {0, 1}:
                break
        assert workers == {0, 1}
        for each in connections:
            await each.disconnect()
        with pytest.raises(TarantoolDatabaseError) as caught:
            await asynctnt.connect(username="bob", password="wrong", **options)
        assert (caught.value.code, caught.value.message) == (47, WRONG)

    asyncio.run(run())


def test_a_connection_changes_hands_any_number_of_times(server: Server) -> None:
    with Raw(server.address) as client:
        for _ in range(20):
            for user in ("bob", "eve"):
                assert client.auth(user, PASSWORD).code == 0
                assert client.eval(WHO).data[:2] == [user, user]
        assert client.auth("guest", "").code == 0
        assert client.eval(WHO).code == 42


def test_on_auth_may_wait_and_refuse_in_every_worker(server: Server) -> None:
    with contextlib.ExitStack() as stack, Raw(server.control) as owner:
        clients = [stack.enter_context(Raw(server.address)) for _ in range(4)]
        owner.eval(
            """box.session.on_auth(function(name, ok)
              require('fiber').sleep(0.01)
              if name == 'eve' and ok then error('not today', 0) end
            end)"""
        )
        try:
            for client in clients:
                answer = client.auth("eve", PASSWORD)
                assert (answer.code, answer.text) == (32, "not today")
                assert (client.auth("eve", "wrong").code, client.eval(WHO).code) == (47, 42)
                assert client.auth("bob", PASSWORD).code == 0
                assert client.eval(WHO).data[0] == "bob"
        finally:
            owner.eval(
                "for _, f in ipairs(box.session.on_auth()) do box.session.on_auth(nil, f) end"
            )


# Failures


def test_failures_of_both_workers_are_one_list(tmp_path: Path) -> None:
    with serve(tmp_path) as server, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Raw(server.address)) for _ in range(4)]
        for client in clients:
            assert client.auth("bob", "wrong").code == 47
            assert client.auth("nosuch", "wrong").code == 47
        boss = clients[0]
        assert boss.auth("boss", PASSWORD).code == 0
        (rows,) = boss.eval("return box.security.failures()").data
        found = {row.get("user") or row["peer"]: row["count"] for row in rows}
        assert found == {"bob": 4, "nosuch": 4, "127.0.0.1": 8}
        lines = server.lines(r"login of user 'bob' from 127\.0\.0\.1:\d+ failed")
        names = [client.name for client in clients]
        assert all(any(f"from {name} failed" in line for line in lines) for name in names)
        assert all(re.search(r"worker-[01]/\d+ W> ", line) for line in lines)


@pytest.mark.parametrize("retries", [0, 3])
def test_a_delay_is_exact_over_both_workers(tmp_path: Path, retries: int) -> None:
    """Sixteen connections try at the same moment; no more than allowed are looked at."""
    with serve(tmp_path, auth_delay=60, auth_retries=retries) as server:
        codes: list[int] = []
        begin = threading.Barrier(16)

        def attack() -> None:
            with Raw(server.address) as client:
                begin.wait(10)
                codes.extend(client.auth("bob", "wrong").code for _ in range(20))

        threads = [threading.Thread(target=attack) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(codes) == [47] * (1 + retries) + [257] * (320 - 1 - retries)
        with Raw(server.address) as client:
            answer = client.auth("bob", PASSWORD)
            assert (answer.code, answer.text) == (257, "Too many authentication attempts")
        with Raw(server.control) as owner:
            assert owner.eval("return box.security.reset()").data == [2]
        with Raw(server.address) as client:
            assert client.auth("bob", PASSWORD).code == 0


def test_a_delay_ends(tmp_path: Path) -> None:
    with serve(tmp_path, auth_delay=3) as server, Raw(server.address) as client:
        begun = time.monotonic()
        assert client.auth("nosuch", PASSWORD).code == 47
        assert client.auth("bob", PASSWORD).code == 257
        wait_until(lambda: client.auth("bob", PASSWORD).code == 0, 10, "the end of the delay")
        assert time.monotonic() - begun > 2.9


def test_no_password_is_logged(server: Server) -> None:
    with Raw(server.address) as client:
        client.auth("bob", PASSWORD)
        client.auth("bob", PASSWORD + "x")
    assert PASSWORD not in server.log


# Guests


def test_guests_may_be_kept_out(tmp_path: Path) -> None:
    with serve(tmp_path, disable_guest=True) as server:
        with (
            pytest.raises(tarantool.DatabaseError) as caught,
            contextlib.closing(stock(server, None)) as connection,
        ):
            connection.eval(WHO)
        assert caught.value.args[0].args == (258, "Authentication required")
        with contextlib.closing(stock(server, "bob", PASSWORD)) as connection:
            assert connection.eval(WHO).data[0] == "bob"
        with Raw(server.address) as client:
            for _ in range(3):
                assert client.eval(WHO).code == 258
                assert client.select(281).code == 258
                client.ping()
                assert client.id().code == 0
            assert client.auth("bob", PASSWORD).code == 0
            assert client.eval(WHO).data[0] == "bob"
        with Raw(server.control) as owner:
            assert owner.eval(WHO).data[0] == "admin"


def test_su_is_for_super_users(server: Server) -> None:
    with Raw(server.address) as client:
        assert client.auth("bob", PASSWORD).code == 0
        answer = client.eval("box.session.su('admin')")
        assert (answer.code, answer.text) == (
            42,
            "Su access to user 'admin' is denied for user 'bob'",
        )
        assert client.auth("boss", PASSWORD).code == 0
        assert client.eval(f"return box.session.su('eve', function() {WHO} end)").data[:2] == [
            "boss",
            "eve",
        ]
        assert client.eval("box.session.su('admin')").code == 0
        assert client.eval(WHO).data[:2] == ["admin", "admin"]
