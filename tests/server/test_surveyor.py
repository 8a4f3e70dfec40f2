"""The process of metrics in a server with stand-in workers: its start, deaths, and end."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import psutil
import pytest

from server.loop import Loop
from server.spare import Spare
from server.surveyor import Surveyor
from shm import logs
from shm.segment import Segment
from tests.helpers.wait import wait_until
from tests.server.conftest import ROOT, STARTS_WITHIN, Served, below
from tests.server.test_supervisor import View, end

Serve = Callable[..., Served]


class Visitor(HTTPConnection):
    """Asks over a unix socket, one connection each time."""

    def __init__(self, path: Path) -> None:
        super().__init__("bee.example")
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(10)
        self.sock.connect(str(self._path))


def ask(path: Path, target: str) -> tuple[int, bytes]:
    with closing(Visitor(path)) as visitor:
        visitor.request("GET", target)
        response = visitor.getresponse()
        return response.status, response.read()


def ready(path: Path) -> dict[str, Any]:
    """What /readyz says; {} while nobody answers."""
    try:
        status, body = ask(path, "/readyz")
    except OSError:
        return {}
    told: dict[str, Any] = json.loads(body)
    assert (status == 200) == (told["verdict"] == "ready")
    return told


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "m.sock"


@pytest.fixture
def with_metrics(serve: Serve, path: Path) -> Serve:
    def start(*arguments: str, environment: dict[str, str] | None = None, **more: Any) -> Served:
        wanted = {"BEESPACE_METRICS_LISTEN": f"unix/:{path}"}
        return serve(*arguments, environment={**wanted, **(environment or {})}, **more)

    return start


def test_without_an_address_there_is_none(serve: Serve) -> None:
    (server := serve("--workers", "1")).ready()
    with View(server) as view:
        assert view.segment.header.metrics_pid == 0
    assert len(below(server.pid)) == 3
    assert server.lines("metrics") == []
    end(server)


def test_it_answers_and_goes_with_the_server(with_metrics: Serve, path: Path) -> None:
    (server := with_metrics("--workers", "2", "--name", "hive")).ready()
    assert f" metrics=unix/:{path} workers=2 " in server.wait_for("I> ready ")
    wait_until(lambda: ready(path).get("verdict") == "ready", STARTS_WITHIN, "readiness")
    with View(server) as view:
        process = psutil.Process(view.segment.header.metrics_pid)
        turns = view.segment.header.metrics_turns
        wait_until(lambda: view.segment.header.metrics_turns > turns, what="a turn")
    assert " ".join(process.cmdline()).strip() == "beespace: metrics hive"
    assert process in below(server.pid)
    status, text = ask(path, "/metrics")
    assert status == 200
    assert b'beespace_build_info{alias="hive",version="' in text
    assert b'beespace_workers{alias="hive",state="ready"} 2.0\n' in text
    assert ask(path, "/livez")[0] == 200
    end(server)
    assert not path.exists()


def test_nobody_else_loads_what_it_needs() -> None:
    source = """
import sys
import server.acceptor, server.cli.command, server.supervisor, workers.process
print([name for name in ("prometheus_client", "h11", "server.metrics") if name in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-c", source], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def test_it_tells_how_the_server_starts_and_stops(with_metrics: Serve, path: Path) -> None:
    # The worker is never ready, and does not stop when it is asked to.
    patient = {"BEESPACE_PROCESS_STOP_TIMEOUT": "60"}
    server = with_metrics("--workers", "1", orders="hang", environment=patient)
    checks = {
        "server": {"status": "failed", "reason": "the server starts"},
        "acceptor": {"status": "failed", "reason": "the acceptor is absent"},
        "workers": {"status": "failed", "reason": "worker 0 is starting"},
    }
    wait_until(lambda: ready(path).get("checks") == checks, STARTS_WITHIN, "word of the start")
    assert ask(path, "/livez")[0] == 200
    server.process.send_signal(signal.SIGTERM)
    reason = "the server stops, 0 sessions are left"
    stops = {"status": "failed", "reason": reason}
    wait_until(
        lambda: ready(path).get("checks", {}).get("server") == stops, what="word of the stop"
    )
    server.process.send_signal(signal.SIGTERM)
    assert server.exit_code(10) == 0
    assert not path.exists()


def test_a_killed_one_is_replaced_and_nobody_waits_in_vain(with_metrics: Serve, path: Path) -> None:
    (server := with_metrics("--workers", "1")).ready()
    with View(server) as view:
        wait_until(lambda: ready(path), STARTS_WITHIN, "the first")
        first = view.segment.header.metrics_pid
        os.kill(first, signal.SIGKILL)
        # The listening socket is the supervisor's: who connects meanwhile is answered later.
        assert ask(path, "/livez")[0] == 200
        wait_until(lambda: view.segment.header.metrics_pid not in (0, first), STARTS_WITHIN)
        wait_until(lambda: view.segment.header.metrics_restarts == 1, what="the count")
    server.wait_for(r"E> metrics ended reason=killed by signal 9 restart_in=0\.1s")
    assert b"beespace_metrics_restarts_total" in ask(path, "/metrics")[1]
    client, _, session = server.connect()
    assert session == 1
    client.close()
    end(server)


def test_one_that_was_asked_to_end_is_replaced(with_metrics: Serve, path: Path) -> None:
    (server := with_metrics("--workers", "1")).ready()
    wait_until(lambda: ready(path), STARTS_WITHIN, "the first")
    with View(server) as view:
        os.kill(view.segment.header.metrics_pid, signal.SIGTERM)
        server.wait_for(r"I> metrics ended reason=exit code 0 restart_in=0\.1s")
        wait_until(lambda: view.segment.header.metrics_restarts == 1, STARTS_WITHIN)
    wait_until(lambda: ready(path), STARTS_WITHIN, "the second")
    end(server)


def test_one_that_hangs_is_replaced(with_metrics: Serve, path: Path) -> None:
    server = with_metrics("--workers", "1", environment={"BEESPACE_WORKERS_HANG_TIMEOUT": "2"})
    server.ready()
    wait_until(lambda: ready(path), STARTS_WITHIN, "the first")
    with View(server) as view:
        pid = int(view.segment.header.metrics_pid)
        os.kill(pid, signal.SIGSTOP)
        server.wait_for(
            f"E> the process of metrics hangs: killed pid={pid} silent=[23]s process=stopped"
        )
        server.wait_for("E> metrics ended reason=killed by signal 9")
        wait_until(lambda: view.segment.header.metrics_pid not in (0, pid), STARTS_WITHIN)
    wait_until(lambda: ready(path), STARTS_WITHIN, "the second")
    end(server)


def test_one_that_hangs_does_not_hold_up_the_end(with_metrics: Serve, path: Path) -> None:
    (server := with_metrics("--workers", "1")).ready()
    wait_until(lambda: ready(path), STARTS_WITHIN, "an answer")
    with View(server) as view:
        os.kill(view.segment.header.metrics_pid, signal.SIGSTOP)
    end(server)


def test_a_server_that_fails_to_start_takes_it_along(with_metrics: Serve, path: Path) -> None:
    server = with_metrics("--workers", "1", orders="fail no bees")
    assert server.exit_code(STARTS_WITHIN) == 1
    assert server.output.splitlines()[-1] == "beespace: no bees"
    assert not path.exists()


def opened(pid: int) -> list[str]:
    return [file.path for file in psutil.Process(pid).open_files()]


def test_it_hears_of_changes_of_the_log(with_metrics: Serve, path: Path, tmp_path: Path) -> None:
    config, log = tmp_path / "bee.yaml", tmp_path / "bee.log"
    config.write_text(f"log: {{to: file, file: {log}}}")
    server = with_metrics("--workers", "1", "--config", str(config))
    wait_until(lambda: ready(path).get("verdict") == "ready", STARTS_WITHIN, "readiness")
    log.rename(tmp_path / "bee.log.1")
    config.write_text(f"log: {{to: file, file: {log}, format: json}}")
    server.process.send_signal(signal.SIGHUP)
    wait_until(lambda: log.exists() and "reload: done" in log.read_text(), STARTS_WITHIN)
    with View(server) as view:
        pid = int(view.segment.header.metrics_pid)
    old = str(tmp_path / "bee.log.1")
    wait_until(lambda: str(log) in opened(pid) and old not in opened(pid), what="the new file")
    end(server)


def test_a_process_that_cannot_be_made_is_tried_again(segment: Segment) -> None:
    tries: list[int] = []
    loop = Loop()

    def refuse(_: socket.socket) -> Any:
        tries.append(1)
        if len(tries) == 2:
            loop.stop()
        raise OSError(11, "no process can be made")

    spare = Spare(1)
    surveyor = Surveyor(loop, segment, logs.get(), refuse, spare, lambda: True, lambda: None)
    surveyor.begin()
    assert surveyor.outlook.next_start is not None
    loop.run()
    assert (len(tries), surveyor.child, surveyor.ready) == (2, None, False)
    spare.close()
    loop.close()
