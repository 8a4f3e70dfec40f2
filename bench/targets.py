"""The servers that are measured, each a context manager that yields a running :class:`Endpoint`.

    beespace    started here, with its own folder for sessions and logs, stopped by SIGTERM
    tarantool   the same, with a configuration of our own, where it is installed
    echo        the ceiling (see echo.lua)
    URI         any server somebody else runs; it needs bench/app.lua for the requests that call it

Whatever happens inside the ``with`` block, a server started here is gone after it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import psutil

from bench import usage
from bench.address import Address, AddressError, free_port
from bench.client import wait_for_ping
from bench.packets import AnswerError
from bench.session import Endpoint

APPLICATION: Final = Path(__file__).resolve().parent / "app.lua"
CHECKOUT: Final = APPLICATION.parent.parent

READY_SECONDS: Final = 30.0
STOP_SECONDS: Final = 10.0
_TRY_SECONDS: Final = 0.02

_BEESPACE_CONFIG: Final = """
credentials: {users: {guest: {privileges: [{permissions: [execute], universe: true}]}}}
"""

_TARANTOOL_CONFIG: Final = """
box.cfg({{
  work_dir = '{folder}', wal_mode = 'none',
  memtx_memory = 64 * 1024 * 1024, net_msg_max = {requests}, log_level = 4,
}})
box.schema.user.grant('guest', 'execute', 'universe', nil, {{if_not_exists = true}})
dofile('{application}')
require('console').listen('unix/:{folder}/console.sock')
box.cfg({{listen = '127.0.0.1:{port}'}})
"""

_TARANTOOL_REQUESTS: Final = 16_384
"""net_msg_max: above every load of the grid, so that its limit of 768 is not what is measured."""


class TargetError(Exception):
    """A server that cannot be started or reached; the text says why."""


@dataclass(frozen=True)
class Kind:
    """A server as the command line names it."""

    name: str
    start: Callable[[], AbstractContextManager[Endpoint]]


def parse(text: str, tarantool: str | None) -> Kind:
    """``beespace``, ``beespace:WORKERS``, ``tarantool`` or a URI; TargetError for another text.

    The name of a kind says all: ``beespace:2`` for ``beespace``, ``127.0.0.1:3301`` for ``3301``.
    """
    name, _, workers = text.partition(":")
    if name == "beespace":
        count = workers or "2"
        if not count.isdigit() or not 0 < int(count) <= 64:
            raise TargetError(f"target {text!r}: expected beespace:WORKERS with 1 to 64 workers")
        return Kind(f"beespace:{count}", lambda: beespace(int(count)))
    if text == "tarantool":
        return Kind(text, lambda: reference(tarantool))
    try:
        address = Address.parse(text)
    except AddressError as error:
        raise TargetError(f"target beespace[:WORKERS], tarantool or an address: {error}") from error
    return Kind(str(address), lambda: remote(address))


def find_tarantool() -> str | None:
    """Path of the installed ``tarantool``, None where there is none."""
    return shutil.which("tarantool")


def version(name: str) -> str:
    """Of a server as :func:`parse` names it, in words of its own."""
    if name.partition(":")[0] == "beespace":
        command = [sys.executable, "-m", "server", "--version"]
    elif name == "tarantool":
        command = [find_tarantool() or name, "-v"]
    else:
        try:
            return wait_for_ping(Endpoint(name, Address.parse(name)))
        except (OSError, AnswerError) as error:
            return f"version unknown: {error}"
    try:
        told = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        return f"version unknown: {error}"
    return told.stdout.partition("\n")[0].strip()


@contextmanager
def beespace(workers: int, settings: str = "") -> Iterator[Endpoint]:
    """This checkout's server with bench/app.lua; guest may execute everything.

    ``settings`` are more lines of its configuration.
    """
    with tempfile.TemporaryDirectory(prefix="bench-beespace-") as folder:
        port = free_port()
        config = Path(folder, "config.yaml")
        config.write_text(_BEESPACE_CONFIG + settings)
        command = [
            *(sys.executable, "-m", "server", "serve", str(APPLICATION), "--config", str(config)),
            *("--listen", f"127.0.0.1:{port}", "--workers", str(workers)),
            *("--run-dir", f"{folder}/run", "--data-dir", f"{folder}/data", "--name", "bench"),
        ]
        name = f"beespace:{workers}"
        with _running(name, command, port, Path(folder), CHECKOUT) as endpoint:
            yield replace(endpoint, console=Address(path=f"{folder}/run/console.sock"))


@contextmanager
def reference(path: str | None) -> Iterator[Endpoint]:
    """An installed Tarantool; guest may execute everything, no log of writes."""
    if path is None:
        raise TargetError("target 'tarantool': not installed (no such command in PATH)")
    with tempfile.TemporaryDirectory(prefix="bench-tarantool-") as folder:
        port = free_port()
        config = Path(folder, "init.lua")
        config.write_text(
            _TARANTOOL_CONFIG.format(
                port=port, folder=folder, application=APPLICATION, requests=_TARANTOOL_REQUESTS
            )
        )
        command = [path, str(config)]
        with _running("tarantool", command, port, Path(folder), Path(folder)) as endpoint:
            yield replace(endpoint, console=Address(path=f"{folder}/console.sock"))


@contextmanager
def remote(address: Address) -> Iterator[Endpoint]:
    """A server that runs already; its CPU time shows when it listens on this machine."""
    endpoint = Endpoint(str(address), address)
    try:
        version = wait_for_ping(endpoint)
    except (OSError, AnswerError) as error:
        raise TargetError(f"target '{address}': {error}") from error
    pid = usage.listener_pid(address.port) if address.host.startswith("127.") else None
    yield replace(endpoint, pid=pid, version=version)


@contextmanager
def echo(request: bytes, answer: bytes) -> Iterator[Endpoint]:
    """The echo server, giving ``answer`` for every ``request``."""
    command = [sys.executable, "-m", "bench.echo", str(len(request)), answer.hex()]
    process = subprocess.Popen(
        command,
        cwd=CHECKOUT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        assert process.stdin is not None
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise TargetError("target 'echo': the process ended at its start")
        address = Address(port=int(line))
        canned = (request, answer)
        name = "epoll echo in LuaJIT"
        yield Endpoint("echo", address, process.pid, name, canned=canned)
    finally:
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
        _end(process)


@contextmanager
def _running(
    name: str, command: Sequence[str], port: int, folder: Path, cwd: Path
) -> Iterator[Endpoint]:
    """Start a server of our own, wait until it answers, stop it."""
    log = folder / "output.log"
    environment = {k: v for k, v in os.environ.items() if not k.startswith("BEESPACE_")}
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        endpoint = Endpoint(name, Address(port=port), process.pid)
        version = _await_ready(process, endpoint, log)
        yield replace(endpoint, version=version)
    finally:
        _end(process)


def _await_ready(process: subprocess.Popen[bytes], endpoint: Endpoint, log: Path) -> str:
    """The greeting, once the server answers a PING; TargetError with its output if it does not."""
    deadline, last = time.monotonic() + READY_SECONDS, ""
    while time.monotonic() < deadline:
        try:
            return wait_for_ping(endpoint)
        except (OSError, AnswerError) as error:
            last = str(error)
        with suppress(subprocess.TimeoutExpired):
            code = process.wait(_TRY_SECONDS)
            raise TargetError(_died(endpoint.name, f"ended at its start with code {code}", log))
    raise TargetError(_died(endpoint.name, f"not ready within {READY_SECONDS:g} s ({last})", log))


def _died(name: str, what: str, log: Path) -> str:
    tail = log.read_text(errors="replace").strip().splitlines()[-8:]
    return "\n  ".join([f"target {name!r}: {what}", *tail])


def _end(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM, and after STOP_SECONDS SIGKILL for whatever of its tree is left."""
    family = [psutil.Process(pid) for pid in usage.tree(process.pid) if psutil.pid_exists(pid)]
    if process.poll() is None:
        process.terminate()
    try:
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
    finally:
        # Also when Ctrl-C comes a second time.
        for member in family:
            with suppress(psutil.NoSuchProcess):
                member.kill()
    process.wait(STOP_SECONDS)
