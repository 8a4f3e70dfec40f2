"""Servers with stand-in workers, each in a folder of its own, always ended with the test."""

from __future__ import annotations

import contextlib
import json
import os
import re
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from shm.segment import SHM_DIR, Segment
from tests.helpers.wait import wait_until
from tests.server.stage import Stage

ROOT = Path(__file__).parents[2]
COMMAND = ROOT / "tests" / "server" / "standin_server.py"
STARTS_WITHIN = 20.0
STOPS_WITHIN = 5.0


@dataclass
class Served:
    """One process of the command and the folder it may write to."""

    process: subprocess.Popen[bytes]
    folder: Path

    @property
    def output(self) -> str:
        return (self.folder / "log").read_text()

    def lines(self, pattern: str) -> list[str]:
        return [line for line in self.output.splitlines() if re.search(pattern, line)]

    def wait_for(self, pattern: str, deadline: float = STARTS_WITHIN) -> str:
        """The first line that matches, as soon as it is there."""

        def found() -> str | None:
            lines = self.lines(pattern)
            if not lines and self.process.poll() is not None:
                raise AssertionError(f"ended with {self.process.returncode}:\n{self.output}")
            return lines[0] if lines else None

        return wait_until(found, deadline, pattern) or ""

    def ready(self) -> Served:
        self.wait_for(r"I> ready ")
        return self

    @property
    def port(self) -> int:
        match = re.search(r"listeners=127\.0\.0\.1:(\d+)", self.wait_for(r"I> ready "))
        assert match is not None
        return int(match[1])

    @property
    def segment(self) -> str:
        (path,) = set(re.findall(r"/dev/shm/(\S+)", Path(f"/proc/{self.pid}/maps").read_text()))
        return str(path)

    @property
    def pid(self) -> int:
        return self.process.pid

    def connect(self) -> tuple[socket.socket, int, int]:
        """A client, with the worker and the session that greeted it."""
        client = socket.create_connection(("127.0.0.1", self.port), timeout=10)
        words = client.recv(100).split()
        return client, int(words[1]), int(words[3])

    def exit_code(self, deadline: float) -> int:
        return self.process.wait(deadline)


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Served]]:
    """Start the command; ``orders`` is the text of the application file."""
    started: list[Served] = []

    def start(
        *arguments: str,
        orders: str = "",
        folder: Path | None = None,
        listen: str = "127.0.0.1:0",
        open_files: int | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> Served:
        place = folder or tmp_path / f"server{len(started)}"
        place.mkdir(exist_ok=True)
        (place / "app.lua").write_text(orders)
        words = [sys.executable, str(COMMAND), "serve", str(place / "app.lua"), "--listen", listen]
        words += ["--run-dir", str(place / "run"), "--data-dir", str(place / "data"), *arguments]

        def limit() -> None:
            if open_files is not None:
                resource.setrlimit(resource.RLIMIT_NOFILE, (open_files, open_files))

        with (place / "log").open("wb") as log:
            process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=place,
                env=clean_environment() | dict(environment or {}),
                start_new_session=True,
                preexec_fn=limit,
            )
        started.append(Served(process, place))
        return started[-1]

    yield start
    for server in started:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.process.wait()
        # What a failed test left: the clean-up of a killed server was just killed too.
        record = server.folder / "run" / "server.json"
        if record.exists():
            (SHM_DIR / json.loads(record.read_text())["segment"]).unlink(missing_ok=True)


def clean_environment() -> dict[str, str]:
    """This environment without settings, with the checkout importable."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("BEESPACE_")}
    return {**kept, "PYTHONPATH": str(ROOT)}


def below(pid: int) -> list[psutil.Process]:
    """All processes under a process."""
    return psutil.Process(pid).children(recursive=True)


@pytest.fixture
def stage(segment: Segment, tmp_path: Path) -> Iterator[Stage]:
    unix = socket.socket(socket.AF_UNIX)
    unix.bind(str(tmp_path / "bee.sock"))
    unix.listen()
    ipv6 = socket.create_server(("::1", 0), family=socket.AF_INET6)
    made = Stage(segment, [socket.create_server(("127.0.0.1", 0)), ipv6, unix])
    yield made
    made.close()
