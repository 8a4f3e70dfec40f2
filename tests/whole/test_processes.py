"""Starting, stopping and dying: what the processes of a server promise to the outside."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from pathlib import Path

import pytest

from tests.helpers.raw import ClosedError, Raw
from tests.helpers.server import DATA, STOP_TIME, Server, alive, refused
from tests.helpers.wait import wait_until
from tests.whole.conftest import Start, await_gone
from tests.whole.crews import spread


def test_a_killed_worker(start: Start) -> None:
    """Its sessions vanish, those of the others live, and another takes its place."""
    server = start(app=DATA / "whole_app.lua", workers=2)
    with contextlib.ExitStack() as stack:
        groups = spread(server, stack, 2, each=4)
        for client in groups[0]:
            client.call("keep", client.name)
        lost = [client.call("box.session.id").data[0] for client in groups[1]]
        _, _, pid = groups[1][0].call("whereami").data
        os.kill(pid, signal.SIGKILL)
        for client in groups[1]:
            client.wait_closed()
        witness = groups[0][0]
        for number in lost:
            await_gone(witness, number)
        for client in groups[0]:
            assert client.call("kept").data == [client.name]
        wait_until(lambda: _pid_of(server, 1) not in (None, pid), 20, "another worker 1")
        assert server.lines("worker-1|worker 1|worker=1"), server.log


def _pid_of(server: Server, worker: int) -> int | None:
    """Pid of a worker, asked through new connections; None while it takes none."""
    with contextlib.ExitStack() as stack:
        for _ in range(12):
            try:
                client = stack.enter_context(Raw(server.address, deadline=3))
                _, number, pid = client.call("whereami").data
            except (ClosedError, TimeoutError):
                continue
            if number == worker:
                return int(pid)
    return None


def test_a_lone_killed_worker_comes_back(start: Start) -> None:
    server = start(app=DATA / "whole_app.lua", workers=1)
    with Raw(server.address) as client:
        _, _, pid = client.call("whereami").data
        last = client.call("box.session.id").data[0]
        os.kill(pid, signal.SIGKILL)
        client.wait_closed()
    wait_until(lambda: _pid_of(server, 0) not in (None, pid), 20, "another worker 0")
    with Raw(server.address) as client:
        assert client.call("box.session.id").data[0] > last


def test_a_killed_acceptor(start: Start) -> None:
    """Sessions go on, and new ones are taken by another acceptor with new ids."""
    server = start(app=DATA / "whole_app.lua", workers=2)
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Raw(server.address)) for _ in range(4)]
        last = max(client.call("box.session.id").data[0] for client in clients)
        acceptor = next(p for p in server.children() if "acceptor" in " ".join(p.cmdline()))
        acceptor.kill()
        wait_until(lambda: not alive([acceptor]), what="end of the acceptor")
        for client in clients:
            client.call("keep", client.name)
        newcomer = stack.enter_context(Raw(server.address, deadline=20))
        assert newcomer.call("box.session.id").data[0] > last
        assert [client.call("kept").data[0] for client in clients] == [c.name for c in clients]


def test_nothing_outlives_a_killed_supervisor(start: Start) -> None:
    server = start(workers=2)
    below, segments = server.children(), server.segments()
    assert segments
    with Raw(server.address) as client:
        client.ping()
        server.send_signal(signal.SIGKILL)
        server.process.wait(5)
        client.wait_closed()
    wait_until(lambda: not alive(below), 10, "end of all processes")
    assert [path for path in segments if path.exists()] == []
    with pytest.raises(ConnectionRefusedError):
        Raw(server.address)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda n: n.name)
def test_stop_with_connections_open(start: Start, number: signal.Signals) -> None:
    server = start(app=DATA / "whole_app.lua", workers=2)
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Raw(server.address)) for _ in range(20)]
        clients[0].send(b"\xce\x00\x00")
        for client in clients[1:]:
            client.ping()
        begun = time.monotonic()
        server.stop(number)
        assert time.monotonic() - begun < STOP_TIME
        for client in clients[1:]:
            client.wait_closed()


def test_stop_removes_the_unix_socket(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    server = start(listen=[f"unix/:{path}"], workers=1)
    assert server.unix == str(path)
    with Raw(server.unix) as client:
        client.ping()
    server.stop()
    assert not path.exists()


def test_error_in_the_application(tmp_path: Path) -> None:
    code, text = refused(tmp_path, app="local a = 1\n\nerror('no bees today')\n")
    assert code == 1
    assert "app.lua:3: no bees today" in text


def test_syntax_error_in_the_application(tmp_path: Path) -> None:
    code, text = refused(tmp_path, app="local a = 1\nlocal = 2\n")
    assert code == 1
    assert "app.lua:2: '<name>' expected near '='" in text


def test_missing_application(tmp_path: Path) -> None:
    code, text = refused(tmp_path, app=tmp_path / "nosuch.lua")
    assert code == 2
    assert len(text.strip().splitlines()) == 1
    assert "app" in text
    assert "nosuch.lua" in text


def test_port_in_use(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        code, text = refused(tmp_path, listen=[address], workers=1)
    assert code == 1
    assert address in text
    assert "in use" in text


def test_unknown_setting(tmp_path: Path) -> None:
    code, text = refused(tmp_path, settings={"iproto": {"treads": 2}})
    assert code == 2
    assert len(text.strip().splitlines()) == 1
    assert "iproto.treads" in text


def test_the_ready_line(shared: Server) -> None:
    ready = shared.lines(r"listeners=")
    assert len(ready) == 1
    for part in ("supervisor", f"127.0.0.1:{shared.port}", str(shared.pid), "whole_app.lua"):
        assert part in ready[0]


def test_a_warning_says_what_guests_may(shared: Server) -> None:
    assert len(shared.lines(r" W> .*guest")) == 1
