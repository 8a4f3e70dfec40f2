"""What a server holds while it runs: directories, locks, catalog, segment, sockets, bus.

Opened in this order and given back in the reverse one, also when a later step fails or the server
ends in an error, so that nothing is left behind. The supervisor is the only caller.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from server import credentials, limits, listeners, rundir
from server.errors import ServerError
from server.listeners import Listener
from server.rundir import RunDir
from server.settings import Settings
from server.uri import UnixUri
from shm import channel, layout
from shm.catalog.errors import CatalogError
from shm.catalog.store import FILE, Store
from shm.segment import Segment, SegmentError
from shm.sessions import SessionTable

RESERVE: Final = 8
"""Slots behind session.limits.total that only connections over the control socket may take."""


@dataclass(frozen=True)
class Resources:
    """Open resources of a running server."""

    segment: Segment
    table: SessionTable
    catalog: Path
    """The catalog's file, made and checked."""
    listeners: tuple[Listener, ...]
    control: Listener
    bus: tuple[tuple[socket.socket, socket.socket], ...]
    """Reading and writing end of every worker's row, see :func:`shm.channel.bus`."""


@contextmanager
def opened(settings: Settings, log: Any) -> Iterator[Resources]:
    """Everything the server needs before it starts a process; ServerError when it cannot be had."""
    _check_limits(settings, log)
    process = settings.process
    rundir.make_private(settings.run_dir, "process.run_dir", process.run_dir is not None)
    rundir.make_private(settings.data_dir, "process.data_dir", process.data_dir is not None)
    with ExitStack() as held:
        home = RunDir.open(settings.run_dir, settings.name)
        held.callback(home.close)
        for leftover in home.remove_leftovers(listeners.answers):
            log.warning("removed what a killed server left", leftover=leftover)
        sockets = [uri.path for uri in settings.iproto.listen if isinstance(uri, UnixUri)]
        home.record(sockets, home.control_path)
        held.callback(os.close, _locked(settings.data_dir))
        catalog = _catalog(settings, log)
        segment = _segment(home.segment_name, settings)
        held.callback(segment.close)
        bound = listeners.open_all(settings.iproto.listen)
        for listener in bound:
            held.callback(listener.close)
        control = listeners.open_control(home.control_path)
        held.callback(control.close)
        _announce(segment, (*bound, control))
        table = SessionTable(segment)
        held.callback(table.close)
        bus = channel.bus(settings.workers)
        for end in itertools.chain(*bus):
            held.callback(end.close)
        yield Resources(segment, table, catalog, bound, control, bus)


def _locked(data_dir: Path) -> int:
    """A descriptor that keeps other servers out of the folder as long as it is open."""
    fd = os.open(data_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(fd)
        raise ServerError(
            f"process.data_dir: got {str(data_dir)!r}, expected a folder that no other server uses"
        ) from error
    return fd


def _catalog(settings: Settings, log: Any) -> Path:
    """The catalog's file, with what the settings declare in it."""
    data_dir = settings.data_dir
    path = data_dir / FILE
    try:
        with closing(Store.make(path)) as store:
            changed = credentials.apply(store, settings.credentials)
        if changed:
            told = {name: ", ".join(found) for name, found in asdict(changed).items() if found}
            log.info("applied the credentials of the settings", **told)
    except CatalogError as error:
        raise ServerError(
            f"process.data_dir: got {str(data_dir)!r}, expected a folder with a catalog "
            f"that can be used: {path}: {error}"
        ) from error
    return path


def _check_limits(settings: Settings, log: Any) -> None:
    limit = limits.raise_open_files()
    warning = limits.check_open_files(limit, settings.session.limits.total, settings.workers)
    if warning is not None:
        log.warning(warning)


def _segment(name: str, settings: Settings) -> Segment:
    total = settings.session.limits.total
    try:
        segment = Segment.create(name, total + RESERVE, settings.workers, settings.events.memory)
    except SegmentError as error:
        raise ServerError(
            f"session.limits.total, events.memory: got {total} and "
            f"{settings.events.memory}, expected what fits: {error}"
        ) from error
    segment.header.reserved = RESERVE
    return segment


def _announce(segment: Segment, bound: tuple[Listener, ...]) -> None:
    """Write the listeners' URIs into the header, the control socket's last."""
    size = layout.LISTENER_BYTES
    texts = [str(listener.uri).encode()[: size - 1].ljust(size, b"\0") for listener in bound]
    # Not by the header's field: that takes bytes up to the first NUL only.
    at = layout.Header.listener_names.offset
    segment.memory[at : at + size * len(bound)] = b"".join(texts)
    segment.header.listeners = len(bound)
    segment.header.control_listener = len(bound) - 1
