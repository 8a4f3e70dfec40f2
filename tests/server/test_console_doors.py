"""Consoles of a running command: where they are, who gets in, what is left, and what is refused."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from server import refusal
from server.resources import RESERVE
from shm.segment import SHM_DIR, Segment
from shm.sessions import Session, SessionTable
from shm.states import SessionType
from tests.helpers.wait import wait_until
from tests.server.conftest import STARTS_WITHIN, STOPS_WITHIN, Served, below

Serve = Callable[..., Served]


def connect(address: str | tuple[str, int]) -> socket.socket:
    client = socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET)
    client.settimeout(10)
    client.connect(address)
    return client


def everything(client: socket.socket) -> bytes:
    data = b""
    while chunk := client.recv(4096):
        data += chunk
    return data


def session_of(client: socket.socket, server: Served) -> Session:
    """What the table says of the session that a client was told it is."""
    number = int(client.recv(100).split()[3])
    segment = Segment.attach(server.segment)
    table = SessionTable(segment)
    found = table.read(number % table.capacity)
    table.close()
    segment.close()
    assert found is not None
    return found


def own(server: Served) -> str:
    return str(server.folder / "run" / "console.sock")


def named(server: Served) -> list[str]:
    """The consoles of the ready line."""
    match = re.search(r" console=(\S+)", server.wait_for("I> ready "))
    assert match is not None
    return match[1].split(",")


def recorded(server: Served) -> list[str]:
    consoles: list[str] = json.loads((server.folder / "run" / "server.json").read_text())[
        "consoles"
    ]
    return consoles


def end(server: Served) -> None:
    server.process.send_signal(signal.SIGTERM)
    assert server.exit_code(STOPS_WITHIN) == 0, server.output
    assert list((server.folder / "run").iterdir()) == []


def test_one_in_the_run_directory(serve: Serve) -> None:
    (server := serve("--workers", "1")).ready()
    assert named(server) == recorded(server) == [f"unix/:{own(server)}"]
    assert stat.S_IMODE(Path(own(server)).stat().st_mode) == 0o600
    with connect(own(server)) as console, connect(("127.0.0.1", server.port)) as client:
        assert session_of(console, server).type is SessionType.CONSOLE
        assert session_of(client, server).type is SessionType.BINARY
    end(server)


def test_those_that_are_asked_for(serve: Serve, tmp_path: Path) -> None:
    path = str(tmp_path / "c.sock")
    arguments = ("--console", "0", "--console", f"unix/:{path}", "--workers", "1")
    (server := serve(*arguments)).ready()
    consoles = named(server)
    assert consoles == recorded(server)
    assert consoles[1:] == [f"unix/:{path}"]
    assert stat.S_IMODE(Path(path).stat().st_mode) == 0o600
    assert not Path(own(server)).exists()
    host, port = consoles[0].split(":")
    for address in (path, (host, int(port))):
        with connect(address) as console:
            assert session_of(console, server).type is SessionType.CONSOLE
    assert server.lines("W> .*console") == []
    end(server)
    assert not Path(path).exists()


def test_none(serve: Serve) -> None:
    off = {"BEESPACE_CONSOLE_ENABLED": "false"}
    (server := serve("--workers", "1", "--console", "0", environment=off)).ready()
    assert named(server) == ["none"]
    assert recorded(server) == []
    assert not Path(own(server)).exists()
    end(server)


def test_a_full_server_lets_its_owner_in(serve: Serve) -> None:
    (server := serve("--workers", "2", "--max-sessions", "3")).ready()
    clients = [server.connect()[0] for _ in range(3)]
    for _ in range(RESERVE):
        clients.append(connect(own(server)))
        assert session_of(clients[-1], server).type is SessionType.CONSOLE
    with connect(own(server)) as refused:
        assert everything(refused) == refusal.to_console(refusal.full_table(3))
    for client in clients:
        client.close()
    end(server)


def test_a_full_server_refuses_other_consoles(serve: Serve, tmp_path: Path) -> None:
    path = str(tmp_path / "c.sock")
    arguments = ("--workers", "1", "--max-sessions", "1", "--console", f"unix/:{path}")
    (server := serve(*arguments)).ready()
    with connect(path) as first:
        assert session_of(first, server).type is SessionType.CONSOLE
        with connect(path) as refused:
            refused.sendall(b"return 1\n" * 1000)
            assert everything(refused) == refusal.to_console(refusal.full_table(1))
    end(server)


def test_the_network_is_warned_of(serve: Serve) -> None:
    open_wide = {"BEESPACE_CONSOLE_ALLOW_REMOTE": "true"}
    (server := serve("--workers", "1", "--console", "*:0", environment=open_wide)).ready()
    (console,) = named(server)
    (line,) = server.lines("W> .*console")
    assert line.endswith(
        f"console open to the network: whoever reaches it is admin, without a password "
        f"console={console}"
    )
    end(server)


def test_a_killed_server_leaves_no_console_to_its_successor(serve: Serve) -> None:
    (first := serve("--workers", "1")).ready()
    left = SHM_DIR / first.segment
    helpers = below(first.pid)
    os.killpg(first.pid, signal.SIGKILL)
    first.process.wait()
    psutil.wait_procs(helpers, 5)
    left.unlink(missing_ok=True)
    assert Path(own(first)).exists()
    off = {"BEESPACE_CONSOLE_ENABLED": "false"}
    (second := serve("--workers", "1", folder=first.folder, environment=off)).ready()
    assert len(second.lines(f"left leftover=socket {own(first)}")) == 1
    assert not Path(own(first)).exists()
    end(second)


def test_an_acceptor_that_is_replaced_goes_on_with_them(serve: Serve) -> None:
    (server := serve("--workers", "1")).ready()
    (acceptor,) = (each for each in below(server.pid) if "acceptor" in " ".join(each.cmdline()))
    acceptor.kill()
    server.wait_for("acceptor ended")
    with connect(own(server)) as console:
        assert session_of(console, server).type is SessionType.CONSOLE
    with connect(own(server)) as console:
        console.sendall(b"echo")
        wait_until(lambda: console.recv(100).endswith(b"echo"), what="the echo")
    end(server)


REFUSED = [
    (["--console", "127.0.0.1:{port}"], 1, "a free address: the address is in use"),
    (["--console", "unix/:{folder}/file"], 1, "a free address: a file that is no socket is there"),
    (["--console", "unix/:{folder}/no/x"], 1, "a free address: no such file or directory"),
    (["--console", "unix/:{folder}/run/control.sock"], 1, "no socket of the server's own"),
    (["--console", "10.255.255.1:3302"], 2, "a unix socket or a loopback address, or console."),
    (["--console", "unix/:/{long}"], 2, "a path of at most 107 bytes, it has 121"),
    (["--console", "unix/:/x", "--console", "unix/:/x"], 2, "every listen URI once"),
    (["--console", "1", "--listen", "1"], 2, "no URI of iproto.listen"),
    (["--console", "0"] * 9, 2, "at most 8 listen URIs"),
    (["--console", "here"], 2, "host:port, [ipv6]:port, port, *:port or unix/:/path"),
]


@pytest.mark.parametrize(("arguments", "code", "expected"), REFUSED)
def test_what_is_refused_is_one_line(
    serve: Serve, tmp_path: Path, arguments: list[str], code: int, expected: str
) -> None:
    (tmp_path / "file").write_text("precious")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        words = {"port": taken.getsockname()[1], "folder": tmp_path, "long": "x" * 120}
        given = [word.format(**words) for word in arguments]
        server = serve("--workers", "1", *given, folder=tmp_path)
        assert server.exit_code(STARTS_WITHIN) == code
    (line,) = [line for line in server.output.splitlines() if line.startswith("beespace: ")]
    assert line.startswith("beespace: console.listen: got ")
    assert f"expected {expected}" in line
    assert "Traceback" not in server.output
    assert [path for path in tmp_path.rglob("*") if path.is_socket()] == []
    assert not (tmp_path / "run" / "server.json").exists()
    assert not (tmp_path / "run" / "server.pid").exists()


def test_a_run_directory_whose_path_is_too_long(serve: Serve, tmp_path: Path) -> None:
    run = tmp_path / ("x" * 100)
    server = serve("--workers", "1", "--run-dir", str(run))
    assert server.exit_code(STARTS_WITHIN) == 1
    assert server.output.splitlines()[-1] == (
        f"beespace: process.run_dir: got '{run}', expected a folder for the command socket: "
        "a unix socket's path has at most 107 bytes"
    )
    assert list(run.iterdir()) == []
