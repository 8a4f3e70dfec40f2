"""The words a child process gets at its start, and how it finds its module.

The supervisor may not import ``workers``, so a child is started by module name: :func:`run` imports
the module in the fresh process and calls its ``main`` with the order. Sockets in an order are
duplicated into the child by ``multiprocess``.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import os
import select
import signal
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Any, Final

WORKER_MODULE = "workers.process"
ACCEPTOR_MODULE = "server.acceptor"
METRICS_MODULE = "server.metrics.process"

_LAST_STANDARD_FD: Final = 2
_SAFE_PATH: Final = "PYTHONSAFEPATH"
_PR_SET_PDEATHSIG: Final = 1


class ExitCode(IntEnum):
    """How a child ends, for the supervisor's decision."""

    STOPPED = 0
    CRASHED = 1
    CANNOT_BOOT = 3
    RUNAWAY = 4
    """By its watchdog: what ran could not be ended. SIGKILL always comes from outside."""


@dataclass(frozen=True)
class LogOrder:
    """How a process logs: level name, ``plain`` or ``json``, path of a file or None for stderr."""

    level: str = "info"
    format: str = "plain"
    file: str | None = None

    def changed(self, values: Mapping[str, Any]) -> LogOrder:
        """The order that settings, by their dotted keys, make of this one."""
        named = {name: f"log.{name}" for name in ("level", "format")}
        return replace(self, **{name: values[key] for name, key in named.items() if key in values})


@dataclass(frozen=True)
class WorkerOrder:
    """Everything a worker needs to know."""

    index: int
    """Row in the segment, from 0."""
    count: int
    """Workers of the server."""
    name: str
    """Name of the server, for titles and logs."""
    version: str
    """Version of beespace."""
    segment: str
    """Name of the shared segment."""
    control: socket.socket
    """Channel to the supervisor."""
    intake: socket.socket
    """Where the acceptor's batches of connections arrive."""
    bus: tuple[socket.socket, tuple[socket.socket, ...]]
    """Where the other workers' messages arrive, and where those for each row go."""
    app: str | None
    """Absolute path of the application file."""
    catalog: str | None = None
    """Path of the catalog's file, which is there; None where nobody asks for it."""
    log: LogOrder = field(default_factory=LogOrder)
    number: int = 0
    """What people call it; an old worker and the new one in its place have the same."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Plain values the engine knows by name: session_results, max_packet_size, ...; those that may
    change later by the dotted keys of the settings."""


@dataclass(frozen=True)
class AcceptorOrder:
    """Everything the acceptor needs to know."""

    name: str
    version: str
    segment: str
    control: socket.socket
    listeners: tuple[socket.socket, ...]
    """Bound sockets, in the order of the names in the segment's header."""
    log: LogOrder = field(default_factory=LogOrder)
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Plain values by dotted key, see server/admission.py."""
    proxied: frozenset[int] = frozenset()
    """Indexes of the listeners whose clients come through a proxy that says who they are."""


@dataclass(frozen=True)
class MetricsOrder:
    """Everything the process of metrics needs to know."""

    name: str
    version: str
    segment: str
    control: socket.socket
    listeners: tuple[socket.socket, ...]
    """Bound sockets."""
    catalog: str
    """Path of the catalog's file, which is there."""
    log: LogOrder = field(default_factory=LogOrder)


Order = WorkerOrder | AcceptorOrder | MetricsOrder


@contextlib.contextmanager
def only_installed_modules() -> Iterator[None]:
    """Keep the current folder out of the first imports of a Python process that is started here.

    ``multiprocess`` starts its processes as ``python -c``, which puts the current folder first in
    their path: a ``json.py`` beside the application would be loaded in place of Python's.
    """
    before = os.environ.get(_SAFE_PATH)
    os.environ[_SAFE_PATH] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_SAFE_PATH]
        else:
            os.environ[_SAFE_PATH] = before


def run(module: str, order: Order) -> None:
    """Target of a child process: hand the order to ``main`` of the named module."""
    _die_with_parent(order.control)
    _keep_descriptors()
    _take_signals()
    importlib.import_module(module).main(order)


def _die_with_parent(control: socket.socket) -> None:
    """Let the system kill this process when its parent dies, however hung, stopped or young it is.

    One that neither runs nor reads its channel would hold the listeners of a server that is gone.
    """
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    poll = select.poll()
    poll.register(control, 0)
    if poll.poll(0):  # the parent hung up before that
        os._exit(ExitCode.STOPPED)


def _keep_descriptors() -> None:
    """Let no program that this process starts inherit a channel or a session.

    Descriptors that came with the start of this process are inheritable, or they would not be here.
    """
    for name in os.listdir("/proc/self/fd"):
        fd = int(name)
        if fd > _LAST_STANDARD_FD:
            with contextlib.suppress(OSError):
                os.set_inheritable(fd, False)


def _take_signals() -> None:
    """Accept signals, which the supervisor blocked for the start; a terminal's are its business.

    Until the module's own handler is there, SIGTERM ends a process that has begun nothing.
    """
    signal.signal(signal.SIGTERM, lambda _number, _frame: os._exit(ExitCode.STOPPED))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
