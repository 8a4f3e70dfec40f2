"""The whole server as a subprocess, as a user starts it.

:func:`running` starts ``python -m server serve`` in a folder of its own, waits for the line that
says it is ready, hands out a :class:`Server`, and at the end stops it and checks that it stopped as
promised: exit code 0, and no process, segment or socket file left. :func:`refused` is for a server
that is expected not to start. Everything a server prints goes to a file that tests can search.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psutil
import yaml

from tests.helpers import catalog
from tests.helpers.raw import Address, Raw
from tests.helpers.systemd import Systemd
from tests.helpers.wait import tries, wait_until

ROOT: Final = Path(__file__).parents[2]
DATA: Final = ROOT / "tests" / "data"
LOOPBACK: Final = "127.0.0.1:0"

START_TIME: Final = 20.0
"""Seconds a server may take until it is ready, on a busy machine."""
STOP_TIME: Final = 5.0
"""Seconds it may take to stop, as promised to users; tests of the stop hold it to that."""
STOP_PATIENCE: Final = 15.0
"""The same on a machine that stalls."""

_NUMBERS: Final = itertools.count(1)
_TCP: Final = re.compile(r"(127\.0\.0\.1|\[::1\]):(\d+)")
_UNIX: Final = re.compile(r"unix/:(/[^\s'\",\])]+)")


@dataclass(frozen=True)
class Server:
    """A running server. Addresses are those of its listeners, in the order of its ready line."""

    process: subprocess.Popen[bytes]
    folder: Path
    addresses: tuple[Address, ...]

    @property
    def pid(self) -> int:
        """The supervisor's."""
        return self.process.pid

    @property
    def address(self) -> tuple[str, int]:
        """The first IPv4 listener."""
        return next(a for a in self.addresses if isinstance(a, tuple) and ":" not in a[0])

    @property
    def ipv6(self) -> tuple[str, int]:
        """The first IPv6 listener."""
        return next(a for a in self.addresses if isinstance(a, tuple) and ":" in a[0])

    @property
    def unix(self) -> str:
        """Path of the first unix socket."""
        return next(a for a in self.addresses if isinstance(a, str))

    @property
    def control(self) -> str:
        """Path of the control socket."""
        return str(self.folder / "run" / "control.sock")

    @property
    def console(self) -> str:
        """Path of the run directory's console."""
        return str(self.folder / "run" / "console.sock")

    @property
    def port(self) -> int:
        return self.address[1]

    @property
    def log(self) -> str:
        """Everything printed so far."""
        return (self.folder / "log").read_text(encoding="utf-8", errors="replace")

    def lines(self, pattern: str) -> list[str]:
        """Lines of the log that match."""
        return [line for line in self.log.splitlines() if re.search(pattern, line)]

    def children(self) -> list[psutil.Process]:
        """All processes below the supervisor."""
        return psutil.Process(self.pid).children(recursive=True)

    def worker_pids(self) -> dict[int, int]:
        """Pid of each worker by its number, asked through connections to all of them."""
        with contextlib.ExitStack() as stack:
            found: dict[int, int] = {}
            count = 0
            for _ in tries():
                client = stack.enter_context(Raw(self.address))
                info = client.eval("local i = box.info return i.worker.id, i.worker.count, i.pid")
                number, count, pid = info.data
                found[number] = pid
                if len(found) == count:
                    return found
        raise AssertionError(f"connections reached {found} of {count} workers")

    def segments(self) -> list[Path]:
        """Shared segments the supervisor has mapped."""
        return _segments(self.pid)

    def send_signal(self, number: signal.Signals = signal.SIGTERM) -> None:
        self.process.send_signal(number)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Stop it; AssertionError unless it ends in time, with 0, and leaves nothing behind."""
        below = self.children()
        segments = self.segments()
        self.send_signal(number)
        try:
            code = self.process.wait(STOP_PATIENCE)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running {STOP_PATIENCE} s after {number.name}") from None
        assert code == 0, f"exit code {code}; log:\n{self.log}"
        wait_until(lambda: not alive(below), 10, f"end of {below}")
        assert [path for path in segments if path.exists()] == []
        assert sockets_below(self.folder) == []
        assert [a for a in self.addresses if isinstance(a, str) and Path(a).exists()] == []


def alive(processes: Sequence[psutil.Process]) -> list[psutil.Process]:
    """Those that run; a process that only waits for its parent does not."""
    found = []
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def sockets_below(folder: Path) -> list[Path]:
    """Socket files a server left."""
    return [path for path in folder.rglob("*") if path.is_socket()]


@contextlib.contextmanager
def running(folder: Path, *, open_to_guests: bool = True, **options: Any) -> Iterator[Server]:
    """A server for the time of a ``with`` block; ``options`` are those of :func:`command`.

    ``manager`` among them is who starts it, instead of nobody in particular.

    It finds a catalog in its data directory, see :mod:`tests.helpers.catalog`.
    """
    place = _place(folder)
    catalog.seed(place / "data", open_to_guests)
    process = _start(place, **options)
    try:
        server = Server(process, place, _await_ready(process, place))
        yield server
        if process.poll() is None:
            server.stop()
    finally:
        _end(process)


def refused(folder: Path, **options: Any) -> tuple[int, str]:
    """Exit code and output of a server that does not start; nothing of it may be left."""
    place = _place(folder)
    process = _start(place, **options)
    try:
        code = process.wait(START_TIME)
        assert sockets_below(place) == []
        return code, (place / "log").read_text(encoding="utf-8", errors="replace")
    finally:
        _end(process)


def command(
    place: Path,
    app: Path | str | None = None,
    workers: int = 2,
    listen: Sequence[str] = (LOOPBACK,),
    arguments: Sequence[str] = (),
    settings: Mapping[str, Any] | None = None,
    inside: Sequence[str] = (),
) -> list[str]:
    """The command line of a server in ``place``.

    ``app`` is a file, or the text of one; ``settings`` become its YAML file; ``inside`` is a
    command that becomes the one behind it.
    """
    words = [*inside, sys.executable, "-m", "server", "serve"]
    if isinstance(app, str):
        (place / "app.lua").write_text(app, encoding="utf-8")
        app = place / "app.lua"
    words += [str(app)] if app else []
    words += [word for uri in listen for word in ("--listen", uri)]
    words += ["--workers", str(workers), "--run-dir", str(place / "run")]
    words += ["--data-dir", str(place / "data"), *arguments]
    if settings is not None:
        (place / "config.yaml").write_text(yaml.safe_dump(dict(settings)), encoding="utf-8")
        words += ["--config", str(place / "config.yaml")]
    return words


def environment() -> dict[str, str]:
    """This process's environment without settings of a server, with the checkout importable."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("BEESPACE_")}
    return {**kept, "PYTHONPATH": str(ROOT)}


def _place(folder: Path) -> Path:
    place = folder / f"server-{next(_NUMBERS)}"
    (place / "cwd").mkdir(parents=True)
    return place


def _start(
    place: Path,
    cwd: Path | None = None,
    manager: Systemd | None = None,
    open_files: int | None = None,
    **options: Any,
) -> subprocess.Popen[bytes]:
    words = command(place, **options)
    if open_files is not None:
        words = ["sh", "-c", f'ulimit -n {open_files}; exec "$@"', "sh", *words]
    with (place / "log").open("wb") as log:
        return subprocess.Popen(
            words if manager is None else manager.command(words),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=cwd or place / "cwd",
            env=environment(),
            start_new_session=True,
            pass_fds=() if manager is None else manager.fds,
        )


def _await_ready(process: subprocess.Popen[bytes], place: Path) -> tuple[Address, ...]:
    log = place / "log"

    def ready() -> str | None:
        text = log.read_text(encoding="utf-8", errors="replace")
        for line in text.splitlines(keepends=True):
            if re.search(r'\blisteners"?[=:]', line) and line.endswith("\n"):
                return line
        assert process.poll() is None, f"ended with {process.returncode}:\n{text}"
        return None

    line = wait_until(ready, START_TIME, "ready line") or ""
    return _addresses(re.split(r'\blisteners"?[=:]', line)[1].split()[0])


def _addresses(text: str) -> tuple[Address, ...]:
    found: dict[int, Address] = {m.start(): m[1] for m in _UNIX.finditer(text)}
    found |= {m.start(): (m[1].strip("[]"), int(m[2])) for m in _TCP.finditer(text)}
    return tuple(found[start] for start in sorted(found))


def _segments(pid: int) -> list[Path]:
    """Shared segments a process has mapped."""
    maps = Path(f"/proc/{pid}/maps").read_text()
    return [Path(name) for name in sorted(set(re.findall(r"/dev/shm/\S+", maps)))]


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill what a failed test left; the server's processes share a process group of their own."""
    segments: list[Path] = []
    with contextlib.suppress(OSError):
        segments = _segments(process.pid)
    if process.poll() is None or _group_lives(process.pid):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for path in segments:  # the process that would have removed them was killed too
        path.unlink(missing_ok=True)


def _group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
