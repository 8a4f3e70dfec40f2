"""Users and passwords over two workers: stock connectors, delays, and sessions that have to end."""

from __future__ import annotations

import asyncio
import contextlib
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import asynctnt
import pytest
import tarantool
from asynctnt.exceptions import TarantoolDatabaseError

from shm.catalog import changes
from shm.catalog.passwords import digest
from shm.catalog.store import FILE, Store
from shm.segment import Segment
from tests.helpers.raw import ClosedError, Raw
from tests.helpers.server import Server, running
from tests.helpers.wait import wait_until

PASSWORD = "Sesame-0pen"
WRONG = "User not found or supplied credentials are invalid"
WHO = "return box.session.user(), box.session.effective_user(), box.info.worker.id"
EVERYTHING = [{"permissions": ["execute"], "universe": True}]
USERS = {
    "bob": {"password": PASSWORD, "privileges": EVERYTHING},
    "eve": {"password": PASSWORD, "privileges": EVERYTHING},
    "boss": {"password": PASSWORD, "roles": ["super"]},
    "bare": {"privileges": EVERYTHING},
}
TELL_ENDS = """
box.session.on_disconnect(function()
  print(('ended: %s %s'):format(box.session.user(), box.session.reason()))
end)"""
WITHIN = 1.0
"""Seconds after which a session is promised to be over."""


def serve(folder: Path, **security: Any) -> contextlib.AbstractContextManager[Server]:
    settings = {"credentials": {"users": USERS}, "security": security}
    return running(folder, workers=2, open_to_guests=False, settings=settings)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Two workers; guest may do nothing."""
    with serve(tmp_path_factory.mktemp("login")) as made:
        yield made


@pytest.fixture(autouse=True)
def _no_failures(server: Server) -> None:
    with Raw(server.control) as owner:
        assert owner.eval("box.security.reset()").code == 0


def logged_in(server: Server, user: str, stack: contextlib.ExitStack) -> list[Raw]:
    """Two sessions of a user in each worker, by number of the worker."""
    found: dict[int, list[Raw]] = {0: [], 1: []}
    while min(map(len, found.values())) < 2:
        client = stack.enter_context(Raw(server.address))
        assert client.auth(user, PASSWORD).code == 0
        name, _, worker = client.eval(WHO).data
        assert name == user
        found[worker].append(client)
    return [client for clients in found.values() for client in clients[:2]]


def change(server: Server, operation: str, *arguments: object) -> None:
    """Change the catalog as a worker would that tells the others nothing but the number."""
    store = Store.open(server.folder / "data" / FILE)
    changes.apply(store, operation, arguments)
    store.close()
    (path,) = server.segments()
    segment = Segment.attach(path.name)
    segment.renew_catalog()
    segment.close()


def number_of(server: Server, user: str) -> int:
    with Raw(server.address) as client:
        client.auth(user, PASSWORD)
        (uid,) = client.eval("return box.session.uid()").data
    return int(uid)


# Connectors


def stock(server: Server, user: str | None, password: str | None = None) -> Any:
    host, port = server.address
    return tarantool.Connection(
        host, port, user=user, password=password, reconnect_max_attempts=0, socket_timeout=10
    )


def test_the_stock_connector(server: Server) -> None:
    seen = set()
    for _ in range(8):
        with contextlib.closing(stock(server, "bob", PASSWORD)) as connection:
            name, effective, worker = connection.eval(WHO).data
            assert (name, effective) == ("bob", "bob")
            seen.add(worker)
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
        connections = await asyncio.gather(
            *(
                asynctnt.connect(username=user, password=PASSWORD, **options)
                for user in ("bob", "eve") * 10
            )
        )
        answers = await asyncio.gather(*(each.eval(WHO) for each in connections))
        assert [answer[0] for answer in answers] == ["bob", "eve"] * 10
        assert {answer[2] for answer in answers} == {0, 1}
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
    with serve(tmp_path, auth_delay=0.5) as server, Raw(server.address) as client:
        assert client.auth("nosuch", PASSWORD).code == 47
        begun = time.monotonic()
        assert client.auth("bob", PASSWORD).code == 257
        wait_until(lambda: client.auth("bob", PASSWORD).code == 0, 5, "the end of the delay")
        assert 0.4 < time.monotonic() - begun < 3


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


# Sessions that have to end


def drop(server: Server, user: str) -> None:
    change(server, "drop_principal", "user", user)


def disable(server: Server, user: str) -> None:
    change(server, "revoke", "user", user, 24, "session,usage", "universe", None, "", False)


def change_password(server: Server, user: str) -> None:
    change(server, "set_password", number_of(server, user), digest(b"other"))


@pytest.mark.parametrize("end", [drop, disable, change_password])
def test_sessions_end_in_every_worker(tmp_path: Path, end: Callable[[Server, str], None]) -> None:
    with serve(tmp_path) as server, contextlib.ExitStack() as stack:
        owner = stack.enter_context(Raw(server.control))
        owner.eval(TELL_ENDS)
        ending, staying = logged_in(server, "bob", stack), logged_in(server, "eve", stack)
        guest = stack.enter_context(Raw(server.address))
        server_side = [client.eval("return box.session.id()").data[0] for client in ending]
        end(server, "bob")
        changed = time.monotonic()
        for client in ending:
            client.wait_closed(5)
        assert time.monotonic() - changed < WITHIN + 0.5
        for client in staying:
            assert client.eval(WHO).data[0] == "eve"
        guest.ping()
        assert owner.eval(WHO).data[0] == "admin"
        for client in ending:
            client.close()
        wait_until(
            lambda: owner.eval(
                "local n = 0 for _, id in ipairs(...) do n = n + box.session.exists(id) end"
                " return n",
                server_side,
            ).data == [0],
            what="the ended sessions are forgotten",
        )  # fmt: skip
        wait_until(lambda: len(server.lines("ended: .* credentials")) >= 4, what="reasons")


def test_sessions_may_outlive_a_password(tmp_path: Path) -> None:
    keeping = serve(tmp_path, keep_sessions_on_password_change=True)
    with keeping as server, contextlib.ExitStack() as stack:
        clients = logged_in(server, "bob", stack)
        change_password(server, "bob")
        with Raw(server.address) as other:
            assert other.auth("bob", "other").code == 0
            assert other.auth("bob", PASSWORD).code == 47
        time.sleep(WITHIN)
        for client in clients:
            assert client.eval(WHO).data[0] == "bob"


@pytest.mark.parametrize(
    ("user", "source"),
    [("bob", "box.schema.user.passwd('x')"), ("boss", "box.schema.user.passwd('boss', 'x')")],
)
def test_the_session_that_changes_its_own_password_stays(
    tmp_path: Path, user: str, source: str
) -> None:
    with serve(tmp_path) as server, contextlib.ExitStack() as stack:
        stays, *clients = logged_in(server, user, stack)
        assert stays.eval(source).code == 0
        changed = time.monotonic()
        for client in clients:
            client.wait_closed(5)
        assert time.monotonic() - changed < WITHIN
        assert stays.eval(WHO).data[0] == user
        with Raw(server.address) as again:
            assert (again.auth(user, PASSWORD).code, again.auth(user, "x").code) == (47, 0)


@pytest.mark.parametrize(
    "source",
    [
        "box.schema.user.drop('bob')",
        "box.schema.user.disable('bob')",
        "box.schema.user.revoke('bob', 'session', 'universe')",
        "box.schema.user.passwd('bob', 'other')",
    ],
)
def test_a_change_by_a_session_ends_those_of_all_workers(tmp_path: Path, source: str) -> None:
    with serve(tmp_path) as server, contextlib.ExitStack() as stack:
        bob, eve = logged_in(server, "bob", stack), logged_in(server, "eve", stack)
        boss = logged_in(server, "boss", stack)[0]
        assert boss.eval(source).code == 0
        changed = time.monotonic()
        for client in bob:
            client.wait_closed(5)
        assert time.monotonic() - changed < WITHIN
        for client in (*eve, boss):
            assert client.eval(WHO).code == 0


def test_password_rules_hold_for_whoever_sets_one(tmp_path: Path) -> None:
    rules = {
        "password_min_length": 8,
        "password_enforce_uppercase": True,
        "password_enforce_lowercase": True,
        "password_enforce_digits": True,
        "password_enforce_specialchars": True,
    }
    weak = {
        "Aa1!": "password should be at least 8 characters long",
        "aaaaaa1!": "password should contain at least one uppercase letter",
        "AAAAAA1!": "password should contain at least one lowercase letter",
        "AAAAaaa!": "password should contain at least one digit",
        "AAAAaaa1": "password should contain at least one special character",
    }
    with serve(tmp_path, **rules) as server, contextlib.ExitStack() as stack:
        for boss in logged_in(server, "boss", stack)[1:3]:
            calls = [
                "box.schema.user.create('new', {password = ...})",
                "box.schema.user.passwd('bob', ...)",
                "box.schema.user.passwd(...)",
            ]
            for call in calls:
                for password, complaint in weak.items():
                    answer = boss.eval(call, password)
                    assert answer.is_error, (call, password)
                    assert answer.text.endswith(complaint)
                    assert password not in answer.text
            assert boss.eval("return box.schema.user.exists('new')").data == [False]
            with Raw(server.address) as client:
                assert client.auth("bob", PASSWORD).code == 0
        boss.eval("box.schema.user.create('new', {password = ...})", "Good-Enough-1")
        for _ in range(4):
            new = stack.enter_context(Raw(server.address))
            assert new.auth("new", "Good-Enough-1").code == 0


def test_no_login_with_an_old_password_lasts(tmp_path: Path) -> None:
    """Clients log in all the time while the password changes; only the last one's sessions stay."""
    with serve(tmp_path) as server, contextlib.ExitStack() as stack:
        bob = number_of(server, "bob")
        passwords = [f"{PASSWORD}-{number}" for number in range(8)]
        used: list[tuple[Raw, str]] = []
        over = threading.Event()

        def log_in() -> None:
            while not over.is_set():
                client = Raw(server.address)
                for password in reversed(passwords):
                    with contextlib.suppress(ClosedError):
                        if client.auth("bob", password).code == 0:
                            used.append((client, password))
                            break
                else:
                    client.close()

        threads = [threading.Thread(target=log_in) for _ in range(4)]
        for thread in threads:
            thread.start()
        for password in passwords:
            change(server, "set_password", bob, digest(password.encode()))
            time.sleep(0.1)
        over.set()
        for thread in threads:
            thread.join()
        for client, _ in used:
            stack.enter_context(client)
        for client, password in used:
            if password == passwords[-1]:
                assert client.eval(WHO).data[0] == "bob"
            else:
                client.wait_closed(WITHIN + 1)
        assert len({password for _, password in used}) > 4


def test_answers_on_their_way_arrive(tmp_path: Path) -> None:
    """A client that asks on and on has its last whole answer, then the end of the connection."""
    with serve(tmp_path) as server, contextlib.ExitStack() as stack:
        client = logged_in(server, "bob", stack)[0]
        stop = threading.Timer(0.3, change_password, (server, "bob"))
        stop.start()
        count = 0
        with pytest.raises(ClosedError) as caught:
            for count in range(10_000_000):
                assert client.eval("return ...", count).data == [count]
        stop.join()
        assert caught.value.rest == b""
        assert count > 10


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
