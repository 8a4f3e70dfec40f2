"""Under systemd, which the tests play: messages, watchdog, sockets that are given."""

from __future__ import annotations

import json
import os
import signal
import socket
from pathlib import Path

import psutil

from tests.helpers.raw import Raw
from tests.helpers.server import refused, running
from tests.helpers.systemd import Systemd
from tests.helpers.text_console import TextConsole
from tests.helpers.wait import wait_until

VARIABLES = {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}


def status(manager: Systemd) -> str:
    """The last one; it is told once a second, when it has changed."""
    return next(told for told in reversed(manager.messages) if told.startswith("STATUS="))


def test_a_life_in_messages(tmp_path: Path) -> None:
    with Systemd(tmp_path) as manager, running(tmp_path, manager=manager) as server:
        wait_until(lambda: "STATUS=workers: 2 ready" in manager.messages, 10, "status")
        assert manager.messages == ["STATUS=starting", "READY=1", "STATUS=workers: 2 ready"]

        server.send_signal(signal.SIGHUP)
        wait_until(lambda: manager.messages.count("READY=1") == 2, 20, "end of the reload")
        assert manager.messages[3].startswith("RELOADING=1\nMONOTONIC_USEC=")
        assert server.lines("reload: done")
        wait_until(lambda: status(manager) == "STATUS=workers: 2 ready", 10, "old ones gone")

        server.send_signal(signal.SIGTTIN)
        wait_until(lambda: status(manager) == "STATUS=workers: 3 ready", 20, "one more")

        server.stop()
        assert manager.messages[-2:] == ["STOPPING=1", "STATUS=stopping"]
        assert [message for message in manager.messages if "WATCHDOG" in message] == []
        assert server.lines("service manager") == []


def test_a_start_that_fails_is_told(tmp_path: Path) -> None:
    with Systemd(tmp_path) as manager:
        code, _ = refused(tmp_path, manager=manager, app="error('no bees')")
        assert code == 1
        assert "READY=1" not in manager.messages
        assert "STOPPING=1" in manager.messages
        assert "no bees" in manager.messages[-1]


def test_the_watchdog_is_fed_while_any_worker_turns(tmp_path: Path) -> None:
    with (
        Systemd(tmp_path, watchdog=0.6) as manager,
        running(tmp_path, manager=manager) as server,
    ):

        def fed() -> int:
            return manager.messages.count("WATCHDOG=1")

        for process in [psutil.Process(server.pid), *server.children()]:
            assert VARIABLES & process.environ().keys() <= (
                VARIABLES if process.pid == server.pid else set()
            )
        wait_until(lambda: fed() >= 3, 10, "signs of life")
        first, second = server.worker_pids().values()
        os.kill(first, signal.SIGSTOP)
        before = fed()
        # Longer than the patience for workers of which none turns.
        wait_until(lambda: fed() - before >= 14, 20, "signs of life with one worker")
        os.kill(second, signal.SIGSTOP)
        wait_until(lambda: server.lines("E> no worker turns"), 20, "silence")
        silent = fed()
        os.kill(second, signal.SIGCONT)
        wait_until(lambda: fed() > silent, 10, "signs of life again")
        os.kill(first, signal.SIGCONT)
        assert len(server.lines("E> no worker turns")) == 1


def test_clients_and_consoles_come_over_sockets_that_are_given(tmp_path: Path) -> None:
    path = tmp_path / "console.sock"
    tcp, unix = socket.create_server(("127.0.0.1", 0)), socket.socket(socket.AF_UNIX)
    unix.bind(str(path))
    unix.listen()
    path.chmod(0o600)
    address = tcp.getsockname()
    handed = [("iproto", tcp), ("console", unix)]
    with Systemd(tmp_path, handed=handed) as manager:
        # Waits in the queue until there is a server.
        early = socket.create_connection(address, timeout=20)
        with running(tmp_path, manager=manager) as server, early:
            assert server.address == address
            assert early.recv(10) == b"Tarantool "
            with Raw(server.address) as client:
                assert client.eval("return os.getenv('LISTEN_FDS')").data == [None]
                assert client.eval("return box.cfg.listen").data == [f"127.0.0.1:{address[1]}"]
            with TextConsole(str(path)) as console:
                assert console.values("box.session.user()") == ["admin"]
            assert not Path(server.console).exists()
            for process in server.children():
                assert not process.environ().keys() & {"LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PID"}
            server.stop()
        # Both are systemd's, for the next server.
        assert path.exists()
        with running(tmp_path, manager=manager) as again, Raw(address) as client:
            assert client.eval("return 1").data == [1]
            assert again.address == address


def test_a_socket_is_found_by_its_address(tmp_path: Path) -> None:
    tcp = socket.create_server(("127.0.0.1", 0))
    port = tcp.getsockname()[1]
    with Systemd(tmp_path, handed=[("beespace.socket", tcp)]) as manager:
        listen = (f"127.0.0.1:{port}", "[::1]:0")
        with running(tmp_path, manager=manager, listen=listen) as server:
            assert server.port == port
            with Raw(server.ipv6) as client:
                assert client.eval("return 1").data == [1]


def test_a_socket_nobody_knows_is_refused(tmp_path: Path) -> None:
    tcp = socket.create_server(("127.0.0.1", 0))
    port = tcp.getsockname()[1]
    with Systemd(tmp_path, handed=[("web", tcp)]) as manager:
        code, output = refused(tmp_path, manager=manager)
        assert code == 2
        assert f"socket 'web' from systemd: got 127.0.0.1:{port}, expected the name" in output


def test_a_file_that_is_systemds_is_neither_removed_nor_a_leftover(tmp_path: Path) -> None:
    path = tmp_path / "bee.sock"
    unix = socket.socket(socket.AF_UNIX)
    unix.bind(str(path))
    unix.listen()
    with (
        Systemd(tmp_path, handed=[("iproto", unix)]) as manager,
        running(tmp_path, manager=manager) as server,
    ):
        state = json.loads((server.folder / "run" / "server.json").read_text())
        assert str(path) not in state["sockets"]
        with Raw(str(path)) as client:
            assert client.eval("return box.session.peer()").data == ["unix/:(socket)"]
        server.process.terminate()
        assert server.process.wait(10) == 0
        assert path.exists()
