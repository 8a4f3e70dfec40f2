"""The supervisor as a whole, with stand-in workers: start, stop, deaths, refusals to start."""

from __future__ import annotations

import errno
import os
import signal
import socket
from collections.abc import Callable
from functools import partial
from pathlib import Path

import psutil
import pytest
import setproctitle

from server import children
from server.errors import ServerError
from server.settings import load
from server.supervisor import Supervisor
from shm.segment import SHM_DIR, Segment
from shm.sessions import SessionTable
from tests.helpers.wait import wait_until
from tests.server.conftest import STARTS_WITHIN, STOPS_WITHIN, Served, below

Serve = Callable[..., Served]


class View:
    """A server's segment, seen from here."""

    def __init__(self, server: Served) -> None:
        self.segment = Segment.attach(server.segment)
        self.table = SessionTable(self.segment)

    def pids(self) -> list[int]:
        return [row.pid for row in self.segment.rows[: self.segment.header.serving]]

    def pid_of(self, role: str) -> int:
        """The acceptor, or the first worker."""
        return int(self.segment.header.acceptor_pid) if role == "acceptor" else self.pids()[0]

    def is_another(self, role: str, than: tuple[int, int]) -> bool:
        return self.pid_of(role) not in than

    def __enter__(self) -> View:
        return self

    def __exit__(self, *_: object) -> None:
        self.table.close()
        self.segment.close()


def end(server: Served, number: signal.Signals = signal.SIGTERM) -> None:
    """Stop a server in good order and look for leftovers."""
    segment = SHM_DIR / server.segment
    processes = below(server.pid)
    server.process.send_signal(number)
    assert server.exit_code(STOPS_WITHIN) == 0, server.output
    assert not segment.exists()
    assert list((server.folder / "run").iterdir()) == []
    assert psutil.wait_procs(processes, 5)[1] == []


def test_start_serve_stop(serve: Serve, tmp_path: Path) -> None:
    path = tmp_path / "bee.sock"
    server = serve("--workers", "2", "--name", "hive", "--listen", f"unix/:{path}")
    line = server.wait_for("I> ready ")
    assert "supervisor I> ready name=hive version=" in line
    assert f"workers=2 pid={server.pid} app={server.folder}/app.lua" in line
    assert f",unix/:{path} " in line
    assert server.lines("guest may") == []
    assert int((server.folder / "run" / "server.pid").read_text()) == server.pid
    clients = [server.connect() for _ in range(4)]
    assert [session for _, _, session in clients] == [1, 2, 3, 4]
    assert sorted(worker for _, worker, _ in clients) == [0, 0, 1, 1]
    with socket.socket(socket.AF_UNIX) as client, View(server) as view:
        client.settimeout(10)
        client.connect(str(path))
        assert client.recv(100).startswith(b"worker ")
        assert view.table.peer(5) == "unix/:(socket)"
        host, port = clients[0][0].getsockname()
        assert view.table.peer(1) == f"{host}:{port}"
        assert view.segment.header.acceptor_pid in {child.pid for child in below(server.pid)}
    processes = [psutil.Process(server.pid), *below(server.pid)]
    titles = {" ".join(process.cmdline()).strip() for process in processes}
    assert {"beespace: supervisor hive", "beespace: acceptor hive"} <= titles
    end(server)
    assert not path.exists()
    for client, _, _ in clients:
        assert client.recv(10) == b""
        client.close()


def test_workers_load_neither_the_control_plane_nor_modules_of_the_current_folder(
    serve: Serve, tmp_path: Path
) -> None:
    folder = tmp_path / "trap"
    folder.mkdir()
    for name in ("socket", "dill", "server", "shm", "struct"):
        (folder / f"{name}.py").write_text("raise SystemExit('trapped')")
    (server := serve("--workers", "1", folder=folder)).ready()
    with View(server) as view:
        maps = Path(f"/proc/{view.pids()[0]}/maps").read_text()
    assert "pydantic_core" in Path(f"/proc/{server.pid}/maps").read_text()
    assert "pydantic_core" not in maps
    end(server, signal.SIGINT)


def test_a_killed_worker_is_replaced_and_its_slots_are_freed(serve: Serve) -> None:
    (server := serve("--workers", "2")).ready()
    clients = [server.connect() for _ in range(4)]
    lost = [session for _, worker, session in clients if worker == 0]
    kept = [session for _, worker, session in clients if worker == 1]
    with View(server) as view:
        pid = view.pids()[0]
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not any(view.table.exists(session) for session in lost))
        assert all(view.table.exists(session) for session in kept)
        server.wait_for(
            "worker ended worker=0 reason=killed by signal 9 sessions=2 restart_in=0.1s"
        )
        server.wait_for("worker is back worker=0")
        assert view.pids()[0] not in (0, pid)
        assert view.segment.rows[0].restarts == 1
        assert view.table.live() == 2
        again = [server.connect() for _ in range(2)]
        assert [worker for _, worker, _ in again] == [0, 0]
        assert min(session for _, _, session in again) > 4
    for client, worker, _ in clients:
        client.sendall(b"still there?") if worker else None
        assert client.recv(100) == (b"still there?" if worker else b"")
    for client, _, _ in clients + again:
        client.close()
    end(server)


def sockets(pid: int) -> set[str]:
    """The sockets a process holds, by their numbers in the system."""
    links = [path.readlink() for path in Path(f"/proc/{pid}/fd").iterdir() if path.is_symlink()]
    return {str(link) for link in links if str(link).startswith("socket:")}


def test_a_worker_that_replaces_another_takes_over_its_bus(serve: Serve) -> None:
    (server := serve("--workers", "2")).ready()
    with View(server) as view:
        pids = view.pids()
        killed, other = sockets(pids[0]), sockets(pids[1])
        os.kill(pids[0], signal.SIGKILL)
        server.wait_for("worker is back worker=0")
        successor = sockets(view.pids()[0])
    writers = killed & other
    assert len(writers) == 6
    assert len(killed & successor) == 7
    assert successor & other == writers
    end(server)


def test_a_killed_acceptor_is_replaced_its_claims_freed_and_sessions_go_on(serve: Serve) -> None:
    (server := serve("--workers", "2")).ready()
    old = [server.connect() for _ in range(2)]
    with View(server) as view:
        # As if it died between a claim and the message to the worker.
        lost = view.table.claim(b"127.0.0.1:1", 0, bytes(20))
        assert lost == 3
        wait_until(lambda: [view.segment.rows[index].assigned for index in range(2)] == [1, 1])
        pid = view.segment.header.acceptor_pid
        os.kill(pid, signal.SIGKILL)
        server.wait_for("acceptor ended reason=killed by signal 9")
        new = [server.connect() for _ in range(2)]
        # The lost claim is a load of worker 0 until it is freed: no more than one goes there.
        assert sorted(worker for _, worker, _ in new) in ([0, 1], [1, 1])
        assert sorted(session for _, _, session in new) == [4, 5]
        assert view.segment.header.acceptor_restarts == 1
        assert view.segment.header.acceptor_pid not in (0, pid)
        server.wait_for("freed claims of a dead acceptor sessions=1")
        assert not view.table.exists(lost)
        assert all(view.table.exists(session) for session in (1, 2, 4, 5))
    for client, _, _ in old + new:
        client.sendall(b"alive")
        assert client.recv(10) == b"alive"
        client.close()
    end(server)


@pytest.mark.parametrize("role", ["worker", "acceptor"])
def test_a_child_that_somebody_else_stops_is_no_error(serve: Serve, role: str) -> None:
    (server := serve("--workers", "1")).ready()
    with View(server) as view:
        for _ in range(3):
            before = (0, view.pid_of(role))
            os.kill(before[1], signal.SIGTERM)
            wait_until(partial(view.is_another, role, before), STARTS_WITHIN, "the next process")
            server.connect()[0].close()
    ended = server.lines(f"supervisor I> {role} ended .*reason=exit code 0.* restart_in=0.1s")
    assert len(ended) == 3, server.output
    assert server.lines(" E> ") == []
    end(server)


@pytest.mark.parametrize("ready", [True, False])
def test_a_signal_to_the_whole_group_is_an_orderly_stop(serve: Serve, ready: bool) -> None:
    server = serve("--workers", "2")
    if ready:
        server.ready()
    else:
        wait_until(lambda: len(below(server.pid)) >= 2, STARTS_WITHIN, "first worker")
    os.killpg(server.pid, signal.SIGTERM)
    assert server.exit_code(STOPS_WITHIN) == 0, server.output
    assert server.lines(" E> |restart_in|Traceback|killing") == []
    assert len(server.lines("I> stopping signal=SIGTERM")) == 1
    assert list((server.folder / "run").iterdir()) == []


def test_a_full_table_refuses_and_says_so_once(serve: Serve) -> None:
    (server := serve("--workers", "2", "--max-sessions", "3")).ready()
    clients = [server.connect()[0] for _ in range(3)]
    for _ in range(3):
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as refused:
            refused.sendall(b"\xce\x00\x00\x00\x05\x82\x00\x40\x01\x01" * 100)
            data = b""
            while chunk := refused.recv(4096):
                data += chunk
        assert data.startswith(b"Tarantool 2.11.0 (Binary) ")
        assert b"session limit reached: 3 of 3 sessions are in use" in data[128:]
    assert server.lines("session table full") == [
        server.wait_for(r"acceptor W> session table full refused=1 capacity=3")
    ]
    clients.pop().close()
    with View(server) as view:
        wait_until(lambda: view.table.live() == 2)
        assert view.segment.header.refused == 3
    clients.append(server.connect()[0])
    for client in clients:
        client.close()
    end(server)


@pytest.mark.parametrize(
    ("orders", "line"),
    [
        (
            "fail /app.lua:3: unexpected symbol near '='",
            "beespace: /app.lua:3: unexpected symbol near '='",
        ),
        ("die 7", "beespace: worker 0 ended before it was ready: exit code 7"),
    ],
)
def test_an_application_that_fails_stops_the_start(serve: Serve, orders: str, line: str) -> None:
    server = serve("--workers", "2", orders=orders)
    assert server.exit_code(STARTS_WITHIN) == 1
    assert line in server.output.splitlines()
    assert "Traceback" not in server.output
    assert server.lines("ready") == server.lines("before it was ready")
    assert list((server.folder / "run").iterdir()) == []


def test_a_signal_during_the_start_stops_it(serve: Serve) -> None:
    server = serve("--workers", "2", orders="hang")
    wait_until(lambda: len(below(server.pid)) >= 2, STARTS_WITHIN, "first worker")
    server.process.send_signal(signal.SIGTERM)
    assert server.exit_code(STOPS_WITHIN) == 0
    assert "Traceback" not in server.output
    assert list((server.folder / "run").iterdir()) == []


def test_a_worker_that_does_not_stop_is_killed_in_time(serve: Serve) -> None:
    soon = {"BEESPACE_PROCESS_STOP_TIMEOUT": "0.2"}
    (server := serve("--workers", "1", orders="deaf", environment=soon)).ready()
    end(server)
    assert len(server.lines("killing processes that did not stop waited=1.2s")) == 1


def test_a_second_signal_kills_at_once(serve: Serve) -> None:
    patient = {"BEESPACE_PROCESS_STOP_TIMEOUT": "60"}
    (server := serve("--workers", "1", orders="deaf", environment=patient)).ready()
    server.process.send_signal(signal.SIGINT)
    server.wait_for("stopping signal=SIGINT")
    server.process.send_signal(signal.SIGINT)
    assert server.exit_code(20) == 0
    assert len(server.lines("asked to stop again")) == 1


def test_a_process_that_cannot_be_made_stops_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr(children, "start", refuse)
    monkeypatch.setattr(setproctitle, "setproctitle", lambda _: None)
    flags = {"run_dir": str(tmp_path / "run"), "data_dir": str(tmp_path / "data"), "listen": ["0"]}
    with pytest.raises(ServerError, match="a process cannot be started: Resource temporarily"):
        Supervisor(lambda: load(flags, {})).run()
    assert list((tmp_path / "run").iterdir()) == []


def test_a_port_in_use(serve: Serve) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        uri = f"127.0.0.1:{taken.getsockname()[1]}"
        server = serve(listen=uri)
        assert server.exit_code(STARTS_WITHIN) == 1
    line = f"beespace: iproto.listen: got '{uri}', expected a free address: the address is in use"
    assert server.output.splitlines()[-1] == line
    assert list((server.folder / "run").iterdir()) == []


def test_leftovers_of_a_killed_server_are_removed(serve: Serve, tmp_path: Path) -> None:
    path = tmp_path / "bee.sock"
    arguments = ("--workers", "1", "--listen", f"unix/:{path}")
    (first := serve(*arguments)).ready()
    left = SHM_DIR / first.segment
    helpers = below(first.pid)
    os.killpg(first.pid, signal.SIGKILL)
    first.process.wait()
    psutil.wait_procs(helpers, 5)
    left.touch()
    (second := serve(*arguments, folder=first.folder)).ready()
    assert len(second.lines(f"removed what a killed server left leftover=segment {left.name}")) == 1
    assert not left.exists()
    end(second)
    assert not path.exists()


def test_a_second_server_is_refused_and_children_end_when_the_supervisor_is_killed(
    serve: Serve,
) -> None:
    (server := serve("--workers", "2")).ready()
    second = serve("--run-dir", str(server.folder / "run"))
    assert second.exit_code(STARTS_WITHIN) == 1
    assert f"process {server.pid} runs there" in second.output.splitlines()[-1]
    segment = SHM_DIR / server.segment
    children = below(server.pid)
    server.process.kill()
    server.process.wait()
    _, alive = psutil.wait_procs(children, 10)
    assert alive == []
    wait_until(lambda: not segment.exists(), what="the resource tracker's clean-up")


def test_too_low_an_open_files_limit(serve: Serve) -> None:
    server = serve("--workers", "4", open_files=100)
    assert server.exit_code(STARTS_WITHIN) == 1
    assert server.output.splitlines()[-1] == (
        "beespace: open files: got a limit of 100, expected at least 128 for 4 workers, "
        "at times 10 (ulimit -Hn, workers.max)"
    )


def test_a_low_open_files_limit_is_a_warning(serve: Serve) -> None:
    (server := serve("--workers", "1", open_files=1000)).ready()
    server.wait_for("W> open-files limit 1000 holds 936 sessions, .* needs 65600")
    end(server)
