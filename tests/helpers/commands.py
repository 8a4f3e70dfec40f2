"""Commands for a running server, as processes and over its socket; used by tests/whole."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import psutil

from tests.helpers.server import ROOT, Server, environment
from tests.helpers.wait import wait_until


def beespace(
    *arguments: str, run_dir: Path | None = None, **variables: str
) -> subprocess.CompletedProcess[str]:
    place = ["--run-dir", str(run_dir)] if run_dir else []
    return subprocess.run(
        [sys.executable, "-m", "server", *arguments, *place],
        capture_output=True,
        text=True,
        timeout=30,
        env=environment() | variables,
        cwd=ROOT,
    )


def told(server: Server, *arguments: str) -> Any:
    """The JSON a command prints."""
    done = beespace(*arguments, "--json", run_dir=server.folder / "run")
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def asked(server: Server, command: str, patience: float = 10, **arguments: Any) -> Any:
    """The supervisor's answer within so many seconds, without a process in between."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(patience)
        client.connect(str(server.folder / "run" / "supervisor.sock"))
        client.sendall(json.dumps({"command": command, "arguments": arguments}).encode() + b"\n")
        with client.makefile("rb") as lines:
            return json.loads(lines.readline())


@contextlib.contextmanager
def stopped(pids: Iterable[int]) -> Iterator[None]:
    """Processes that do nothing."""
    pids = list(pids)
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        wait_until(lambda: all(map(is_stopped, pids)), what=f"stop of {pids}")
        yield
    finally:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def is_stopped(pid: int) -> bool:
    """Whether a process stands still; psutil.NoSuchProcess when it is gone."""
    return bool(psutil.Process(pid).status() == psutil.STATUS_STOPPED)


def status(server: Server) -> Any:
    return asked(server, "status")["answer"]


def states(server: Server) -> list[str]:
    """Those of all workers."""
    return [worker["state"] for worker in status(server)["workers"]]
