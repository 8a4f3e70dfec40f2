"""Metrics and health of a real server: what they tell is what has happened."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import psutil
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as plain

from tests.helpers.commands import beespace, status
from tests.helpers.raw import EVAL, Raw, request
from tests.helpers.server import Server, running
from tests.helpers.wait import wait_until

SETTINGS = {"metrics": {"listen": 0}, "name": "hive", "log": {"slow_request": 0.1}}
HARM = (b"GET /metrics HTTP/1.1\r\nHost: b\r\nX: ", b"\0", b"GET /livez ")
ACCEPT = "application/openmetrics-text; version=1.0.0"
Labels = dict[str, str]


class Metrics:
    """One server's, asked anew each time."""

    def __init__(self, server: Server) -> None:
        told = server.lines("I> ready ")[0].partition(" metrics=127.0.0.1:")[2]
        self.port = int(told.split()[0])

    def get(self, target: str, accept: str = "") -> tuple[int, bytes]:
        with contextlib.closing(HTTPConnection("127.0.0.1", self.port, timeout=10)) as client:
            client.request("GET", target, headers={"Accept": accept})
            response = client.getresponse()
            return response.status, response.read()

    def health(self, target: str = "/readyz") -> tuple[int, Any]:
        status, body = self.get(target)
        return status, json.loads(body)

    def fault(self, target: str) -> dict[str, Any]:
        """What a page says that says no, nothing else."""
        status, told = self.health(target)
        return told if status == 503 else {}

    def values(self, name: str, **labels: str) -> list[float]:
        """Values of the samples that have these labels."""
        status, text = self.get("/metrics", ACCEPT)
        assert status == 200
        return [
            sample.value
            for family in openmetrics(text.decode())
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        ]

    def shows(self, value: float, name: str, **labels: str) -> None:
        """Wait until the sum of some samples has a value; a text may be a moment old."""
        wait_until(lambda: sum(self.values(name, **labels)) == value, 20, f"{name} {value}")

    def catch_up(self, server: Server) -> None:
        """Wait until the text knows of everything so far: of somebody who came, and left."""
        with Raw(server.address):
            self.shows(1, "beespace_sessions")
        self.shows(0, "beespace_sessions")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("metrics"), settings=SETTINGS) as made:
        yield made


@pytest.fixture
def metrics(server: Server) -> Metrics:
    made = Metrics(server)
    wait_until(lambda: made.health()[0] == 200, 20, "readiness")
    return made


def test_both_texts_are_what_they_should_be(metrics: Metrics) -> None:
    names = [
        {
            sample.name
            for family in parse(metrics.get("/metrics", accept)[1].decode())
            for sample in family.samples
        }
        for parse, accept in ((plain, ""), (openmetrics, ACCEPT))
    ]
    assert names[0] == names[1]
    assert len(names[0]) > 90


def test_sessions_and_requests(server: Server, metrics: Metrics) -> None:
    metrics.catch_up(server)
    names = ("call", "eval", "ping")
    before = {name: sum(metrics.values("beespace_requests_total", type=name)) for name in names}
    errors = sum(metrics.values("beespace_request_errors_total"))
    claimed = sum(metrics.values("beespace_sessions_claimed_total"))
    ended = sum(metrics.values("beespace_sessions_ended_total", reason="client"))
    with Raw(server.address) as one, Raw(server.address) as other:
        for client in (one, other):
            client.ping()
            assert client.eval("return box.session.user()").data == ["guest"]
        with contextlib.suppress(Exception):
            one.eval("error('no bee')")
        metrics.shows(2, "beespace_sessions", state="live", type="binary")
        metrics.shows(2, "beespace_user_sessions", user="guest")
        metrics.shows(2, "tnt_net_connections_current")
        metrics.shows(2, "tnt_net_per_thread_connections_current")
        metrics.shows(before["ping"] + 2, "beespace_requests_total", type="ping")
        metrics.shows(before["eval"] + 3, "beespace_requests_total", type="eval")
        metrics.shows(before["eval"] + 3, "tnt_stats_op_total", operation="eval")
        metrics.shows(errors + 1, "beespace_request_errors_total")
    metrics.shows(0, "beespace_sessions")
    metrics.shows(claimed + 2, "beespace_sessions_claimed_total")
    metrics.shows(ended + 2, "beespace_sessions_ended_total", reason="client")


def test_failed_logins(server: Server, metrics: Metrics) -> None:
    metrics.catch_up(server)
    before = sum(metrics.values("beespace_login_failures_total", reason="wrong"))
    with Raw(server.address) as client, contextlib.suppress(Exception):
        client.auth("nobody", "secret")
    metrics.shows(before + 1, "beespace_login_failures_total", reason="wrong")
    metrics.shows(0, "beespace_login_failures_total", reason="delayed")


def test_requests_that_wait(server: Server, metrics: Metrics) -> None:
    with Raw(server.address) as client:
        source = {0x27: "require('fiber').sleep(60)", 0x21: []}
        client.send(request({0: EVAL, 1: client.next_sync()}, source))
        metrics.shows(1, "beespace_worker_requests_in_progress")
        metrics.shows(1, "tnt_net_requests_current")
        metrics.shows(1, "tnt_net_requests_in_progress_current")
        with Raw(server.control) as other:
            other.eval("box.session.kill({type = 'binary', not_id = box.session.id()})")
        metrics.shows(1, "beespace_sessions_ended_total", reason="killed")
    metrics.shows(0, "beespace_worker_requests_in_progress")


def test_slow_requests(server: Server, metrics: Metrics) -> None:
    slow = sum(metrics.values("beespace_slow_requests_total"))
    with Raw(server.address) as client:
        client.eval("require('fiber').sleep(0.2)")
    wait_until(lambda: sum(metrics.values("beespace_slow_requests_total")) > slow, 20, "it")


def test_visitors_who_mean_harm_harm_nobody_else(server: Server, metrics: Metrics) -> None:
    pid = int(status(server)["metrics"]["pid"])
    before = psutil.Process(pid).memory_info().rss
    with contextlib.ExitStack() as stack:
        for number in range(300):
            end = stack.enter_context(socket.create_connection(("127.0.0.1", metrics.port), 10))
            with contextlib.suppress(OSError):
                end.sendall(HARM[number % len(HARM)])
                end.sendall(b"x" * (number % 2 << 20))
        # The supervisor and the pages answer as if nothing were.
        assert status(server)["metrics"]["pid"] == pid
        assert metrics.health("/livez")[0] == 200
        assert metrics.health()[0] == 200
        assert metrics.values("beespace_workers", state="ready") == [2]
        assert psutil.Process(pid).num_fds() < 150
    assert psutil.Process(pid).memory_info().rss < before + (32 << 20)


def test_processes(server: Server, metrics: Metrics) -> None:
    pids = {each.pid for each in server.children()} | {server.pid}
    name = "beespace_process_resident_memory_bytes"
    roles = {"supervisor": 1, "acceptor": 1, "metrics": 1, "worker": 2}
    for role, count in roles.items():
        assert len(metrics.values(name, process=role)) == count
    assert min(metrics.values(name)) > 1 << 20
    used = sum(psutil.Process(pid).cpu_times().user for pid in pids)
    assert sum(metrics.values("tnt_cpu_user_time")) > 0
    assert sum(metrics.values("tnt_cpu_user_time")) < used + 60


def test_a_dead_worker(tmp_path: Path) -> None:
    # A worker that dies again before it is ready stays away for a while.
    app = "if io.open('seen') then error('no bee') end"
    with running(tmp_path, settings=SETTINGS, app=app) as server:
        metrics = Metrics(server)
        wait_until(lambda: metrics.health()[0] == 200, 20, "readiness")
        with Raw(server.address) as client:
            client.ping()
            requests = sum(metrics.values("tnt_net_requests_total"))
            (server.folder / "cwd" / "seen").touch()
            pid = server.worker_pids()[0]
            os.kill(pid, signal.SIGKILL)
            told = wait_until(
                lambda: (
                    (found := metrics.fault("/readyz"))
                    and found["checks"]["workers"]["status"] == "failed"
                    and found
                ),
                20,
                "word of the death",
            )
        assert told["checks"]["server"] == {"status": "ok"}
        assert told["checks"]["acceptor"] == {"status": "ok"}
        assert told["checks"]["workers"]["reason"].startswith("worker 0 is ")
        assert sum(metrics.values("tnt_net_requests_total")) >= requests
        metrics.shows(0, "beespace_ready")
        (server.folder / "cwd" / "seen").unlink()
        wait_until(lambda: metrics.health()[0] == 200, 40, "the next worker")
        metrics.shows(2, "beespace_worker_up")
        metrics.catch_up(server)
        # Each has ended, once.
        claimed = sum(metrics.values("beespace_sessions_claimed_total"))
        metrics.shows(claimed, "beespace_sessions_ended_total")


def test_a_supervisor_and_workers_that_are_stopped(tmp_path: Path) -> None:
    with running(tmp_path, settings=SETTINGS) as server:
        metrics = Metrics(server)
        wait_until(lambda: metrics.health()[0] == 200, 20, "readiness")
        workers = list(server.worker_pids().values())
        stopped = [server.pid, *workers]
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        try:
            # Nobody is asked for anything.
            assert metrics.values("beespace_workers", state="ready") == [2]
            assert metrics.health("/livez")[0] == 200
            told = wait_until(lambda: metrics.fault("/readyz"), 20, "silent workers") or {}
            assert "has not turned for " in told["checks"]["workers"]["reason"]
            told = wait_until(lambda: metrics.fault("/livez"), 30, "silence") or {}
            assert told["checks"]["supervisor"]["reason"].startswith("its loop has not turned for ")
        finally:
            for pid in reversed(stopped):
                os.kill(pid, signal.SIGCONT)
        wait_until(lambda: metrics.health("/livez")[0] == 200, 20, "life")
        wait_until(lambda: metrics.health()[0] == 200, 20, "readiness")


def test_a_reload_changes_workers_and_no_sum(server: Server, metrics: Metrics) -> None:
    with Raw(server.address) as client:
        client.ping()
        metrics.shows(1, "beespace_sessions")
        before = sum(metrics.values("tnt_net_requests_total"))
        assert beespace("reload", run_dir=server.folder / "run").returncode == 0
        # The new ones are there, the old ones drain, or are gone: no reason not to be ready.
        assert metrics.health()[0] == 200
        metrics.shows(1, "beespace_workers", state="draining")
        client.ping()
        metrics.shows(before + 1, "tnt_net_requests_total")
        assert len(metrics.values("beespace_worker_up", worker="0")) in (1, 2)
    metrics.shows(0, "beespace_workers", state="draining")
    metrics.shows(2, "beespace_worker_up")
    assert sum(metrics.values("tnt_net_requests_total")) == before + 1


def test_the_status_tells_of_them(server: Server, metrics: Metrics) -> None:
    told = status(server)["metrics"]
    assert told["listeners"] == [f"127.0.0.1:{metrics.port}"]
    assert (told["state"], told["restarts"], told["storm"]) == ("ready", 0, False)
    assert psutil.Process(told["pid"]).parent() == psutil.Process(server.pid)
