"""Users dropped, disabled, or given another password: their sessions end, in every worker."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from shm.catalog.passwords import digest
from tests.helpers.raw import ClosedError, Raw
from tests.helpers.server import Server
from tests.helpers.wait import assert_within, wait_until
from tests.whole.logins import PASSWORD, WHO, change, logged_in, number_of, serve

TELL_ENDS = """
box.session.on_disconnect(function()
  print(('ended: %s %s'):format(box.session.user(), box.session.reason()))
end)"""
WITHIN = 1.0
"""Seconds after which a session is promised to be over."""


def drop(server: Server, user: str) -> None:
    change(server, "drop_principal", "user", user)


def disable(server: Server, user: str) -> None:
    change(server, "revoke", "user", user, 24, "session,usage", "universe", None, "", False)


def change_password(server: Server, user: str) -> None:
    change(server, "set_password", number_of(server, user), digest(b"other"))


@pytest.mark.parametrize("end", [drop, disable, change_password])
def test_sessions_end_in_every_worker(tmp_path: Path, end: Callable[[Server, str], None]) -> None:
    assert_within(WITHIN + 0.5, lambda: ended_everywhere(tmp_path, end))


def ended_everywhere(folder: Path, end: Callable[[Server, str], None]) -> float:
    """Seconds until all sessions of a user have ended, and nobody else's."""
    with serve(folder) as server, contextlib.ExitStack() as stack:
        owner = stack.enter_context(Raw(server.control))
        owner.eval(TELL_ENDS)
        ending, staying = logged_in(server, "bob", stack), logged_in(server, "eve", stack)
        guest = stack.enter_context(Raw(server.address))
        server_side = [client.eval("return box.session.id()").data[0] for client in ending]
        end(server, "bob")
        took = until_closed(ending)
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
            10,
            "the ended sessions are forgotten",
        )  # fmt: skip
        wait_until(lambda: len(server.lines("ended: .* credentials")) >= 4, 10, "reasons")
    return took


def until_closed(clients: list[Raw]) -> float:
    """Seconds until all of these have ended."""
    began = time.monotonic()
    for client in clients:
        client.wait_closed()
    return time.monotonic() - began


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
    def change_own() -> float:
        with serve(tmp_path) as server, contextlib.ExitStack() as stack:
            stays, *clients = logged_in(server, user, stack)
            assert stays.eval(source).code == 0
            took = until_closed(clients)
            assert stays.eval(WHO).data[0] == user
            with Raw(server.address) as again:
                assert (again.auth(user, PASSWORD).code, again.auth(user, "x").code) == (47, 0)
        return took

    assert_within(WITHIN, change_own)


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
    def change_bob() -> float:
        with serve(tmp_path) as server, contextlib.ExitStack() as stack:
            bob, eve = logged_in(server, "bob", stack), logged_in(server, "eve", stack)
            boss = logged_in(server, "boss", stack)[0]
            assert boss.eval(source).code == 0
            took = until_closed(bob)
            for client in (*eve, boss):
                assert client.eval(WHO).code == 0
        return took

    assert_within(WITHIN, change_bob)


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

        def has_been_used(password: str) -> bool:
            return any(each == password for _, each in used)

        threads = [threading.Thread(target=log_in) for _ in range(4)]
        for thread in threads:
            thread.start()
        for password in passwords:
            change(server, "set_password", bob, digest(password.encode()))
            with contextlib.suppress(AssertionError):
                wait_until(partial(has_been_used, password), 5)
            time.sleep(0.05)
        over.set()
        for thread in threads:
            thread.join()
        for client, _ in used:
            stack.enter_context(client)
        for client, password in used:
            if password == passwords[-1]:
                assert client.eval(WHO).data[0] == "bob"
            else:
                client.wait_closed()
        assert len({password for _, password in used}) > 4


def test_answers_on_their_way_arrive(tmp_path: Path) -> None:
    """A client that asks on and on has its last whole answer, then the end of the connection."""
    with serve(tmp_path) as server, contextlib.ExitStack() as stack:
        client = logged_in(server, "bob", stack)[0]
        stop = threading.Thread(target=change_password, args=(server, "bob"))
        count = 0
        with pytest.raises(ClosedError) as caught:
            for count in range(10_000_000):
                assert client.eval("return ...", count).data == [count]
                if count == 100:
                    stop.start()
        stop.join()
        assert caught.value.rest == b""
        assert count > 100
