"""box.session.kill and cancel on sessions of another worker, idle, busy, stopped or old."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.raw import GREETING_SIZE, ClosedError, Raw
from tests.helpers.server import running
from tests.helpers.text_console import TextConsole
from tests.helpers.victims import APP, ARRIVING, BOUND, Scene, is_cut_off
from tests.helpers.wait import wait_until
from tests.whole.conftest import Start

MANY = 1000


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """Two workers; what a test connects stays until the last has run."""
    folder = tmp_path_factory.mktemp("kill")
    settings = {"limits": {"request_time": 0}}
    with (
        running(folder, app=APP % str(folder), workers=2, settings=settings) as server,
        contextlib.ExitStack() as stack,
    ):
        yield Scene(server, folder, stack)


@pytest.fixture
def killer(scene: Scene) -> Raw:
    """A session of worker 0."""
    return scene.client(0)[0]


def kill(killer: Raw, session: int) -> int:
    """How many sessions were ended, within the bound."""
    begun = time.monotonic()
    count: int = killer.eval("return box.session.kill(...)", session).data[0]
    assert time.monotonic() - begun < BOUND
    return count


@pytest.mark.parametrize("function", ["wait", "flood", "busy", "busy_after_a_wait"])
def test_whatever_its_code_does_a_session_ends(scene: Scene, killer: Raw, function: str) -> None:
    victim, session = scene.client(1)
    other, _ = scene.client(1)
    pid = other.eval("return box.info.pid").data
    scene.begin(victim, session, function)
    assert kill(killer, session) == 1
    assert is_cut_off(victim)
    assert scene.reasons(session) == ["killed"]
    assert other.eval("return box.info.pid").data == pid
    assert kill(killer, session) == 0


def test_an_idle_session(scene: Scene, killer: Raw) -> None:
    victim, session = scene.client(1)
    assert kill(killer, session) == 1
    victim.wait_closed()
    assert scene.reasons(session) == ["killed"]


@pytest.mark.parametrize("function", ["wait", "busy", "busy_after_a_wait"])
def test_a_cancelled_request(scene: Scene, killer: Raw, function: str) -> None:
    client, session = scene.client(1)
    scene.begin(client, session, function)
    assert killer.eval("return box.session.cancel(...)", session).data == [1]
    answer = client.packet()
    assert (answer.code, answer.text) == (32, "fiber is cancelled")
    client.ping()
    assert scene.noted("ended", session) == []


def test_a_session_whose_on_connect_waits(scene: Scene, killer: Raw) -> None:
    with Raw(scene.server.address, source=ARRIVING, greet=False) as victim:
        (session,) = wait_until(lambda: list(scene.notes("arriving")), what="on_connect") or [0]
        assert kill(killer, session) == 1
        victim.wait_closed()
        assert scene.reasons(session) == ["killed"]


def test_the_own_session(scene: Scene) -> None:
    client, session = scene.client(1)
    with pytest.raises(ClosedError):
        client.eval("box.session.kill(box.session.id())")
    assert scene.reasons(session) == ["killed"]


def test_consoles_end_and_are_ended(scene: Scene) -> None:
    with TextConsole(scene.server.console) as one, TextConsole(scene.server.console) as other:
        session = int(other.say("box.session.id()").split()[2])
        assert one.say(f"box.session.kill({session})") == b"---\n- 1\n...\n"
        assert is_cut_off(other)
        assert scene.reasons(session) == ["killed"]
        session = int(one.say("box.session.id()").split()[2])
        one.send(b"box.session.kill(box.session.id())\n")
        assert is_cut_off(one)
        assert scene.reasons(session) == ["killed"]


def test_a_session_that_the_server_has_dialled(scene: Scene, killer: Raw, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as ear:
        ear.bind(str(tmp_path / "ear"))
        ear.listen()
        ear.settimeout(10)
        killer.call("dial", str(tmp_path / "ear"))
        end, _ = ear.accept()
    with end:
        end.settimeout(10)
        assert len(end.recv(GREETING_SIZE, socket.MSG_WAITALL)) == GREETING_SIZE
        source = "return box.session.kill{listener = 'new'}"
        assert killer.eval(source).data == [1]
        assert end.recv(1) == b""


def test_a_thousand_of_both_workers(scene: Scene, killer: Raw) -> None:
    source = "127.0.0.2"
    with contextlib.ExitStack() as stack:
        clients = [
            stack.enter_context(Raw(scene.server.address, source=source)) for _ in range(MANY)
        ]
        rows = killer.eval("return box.session.list{peer = ...}", source).data[0]
        assert set(Counter(row["worker"] for row in rows)) == {0, 1}
        assert killer.eval("return box.session.kill{peer = ...}", source).data == [MANY]
        for client in clients:
            client.wait_closed()
        assert scene.reasons(*(row["id"] for row in rows)) == ["killed"] * MANY
        count = "return box.session.count{peer = ...}"
        wait_until(lambda: killer.eval(count, source).data == [0], 10, "the end of all")


def test_a_worker_that_is_stopped(scene: Scene, killer: Raw) -> None:
    victim, session = scene.client(1)
    (pid,) = victim.eval("return box.info.pid").data
    os.kill(pid, signal.SIGSTOP)
    try:
        begun = time.monotonic()
        answer = killer.eval("return box.session.kill(..., {timeout = 0.3})", session)
        assert 0.3 <= time.monotonic() - begun < BOUND
        text = f"session {session} did not end within 0.3 s: worker 1 (process {pid}) does not"
        assert (answer.code, answer.text) == (78, f"{text} answer; it ends as soon as that goes on")
        assert victim.quiet()
    finally:
        os.kill(pid, signal.SIGCONT)
    victim.wait_closed()
    assert scene.reasons(session) == ["killed"]


def test_sessions_of_a_worker_that_drains(scene: Scene) -> None:
    old, session = scene.client(1)
    (pid,) = old.eval("return box.info.pid").data
    stays, _ = scene.client(1)
    known = {child.pid for child in scene.server.children()}
    scene.server.send_signal(signal.SIGUSR2)

    def newcomer() -> Raw | None:
        client, _ = scene.client(0)
        return None if client.eval("return box.info.pid").data[0] in known else client

    killer = wait_until(newcomer, 30, "new workers")
    assert killer is not None
    assert kill(killer, session) == 1
    old.wait_closed()
    assert scene.reasons(session) == ["killed"]
    assert stays.eval("return box.info.pid").data == [pid]


@pytest.mark.parametrize("function", ["compiled", "hang_in_c"])
def test_code_that_cannot_be_ended_runs_on_without_its_client(
    start: Start, tmp_path: Path, function: str
) -> None:
    """Its worker ends at twice the time; on_disconnect runs in the other one."""
    settings = {"limits": {"request_time": 3}}
    with contextlib.ExitStack() as stack:
        server = start(app=APP % str(tmp_path), workers=2, settings=settings)
        scene = Scene(server, tmp_path, stack)
        killer, _ = scene.client(0)
        victim, session = scene.client(1)
        other, bystander = scene.client(1)
        scene.begin(victim, session, function)
        assert kill(killer, session) == 1
        assert is_cut_off(victim)
        assert other.quiet()
        assert scene.reasons(session) == ["killed"]
        assert scene.reasons(bystander) == ["worker_died"]
        assert scene.noted("ended", session) == ["killed"]
