"""What a server holds while it runs: directories, locks, catalog, segment, sockets, bus.

Opened in this order and given back in the reverse one, also when a later step fails or the server
ends in an error, so that nothing is left behind. The supervisor is the only caller.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from server import credentials, given, limits, listeners, rundir
from server.errors import ServerError
from server.given import Given, Share
from server.listeners import Listener
from server.rundir import RunDir
from server.settings import Settings
from server.uri import TcpUri, is_loopback
from shm import channel, layout
from shm.catalog.declared import Changed
from shm.catalog.errors import CatalogError
from shm.catalog.store import FILE, Store
from shm.segment import Segment, SegmentError
from shm.sessions import SessionTable

RESERVE: Final = 8
"""Slots behind session.limits.total that only connections over the run directory's sockets may
take."""

SHORT_HANG: Final = "a request that runs longer than workers.hang_timeout ends its worker"
OPEN_CONSOLE: Final = "console open to the network: whoever reaches it is admin, without a password"
OPEN_METRICS: Final = "metrics open to the network: whoever reaches them sees names and figures"


@dataclass(frozen=True)
class Resources:
    """Open resources of a running server."""

    segment: Segment
    table: SessionTable
    catalog: Path
    """The catalog's file, made and checked."""
    listeners: tuple[Listener, ...]
    consoles: tuple[Listener, ...]
    control: Listener
    commands: Listener
    """Where the supervisor itself takes commands."""
    metrics: tuple[Listener, ...]
    """Where the process of metrics answers; none when there is no such process."""
    bus: tuple[tuple[socket.socket, socket.socket], ...]
    """Reading and writing end of every worker's row, see :func:`shm.channel.bus`."""

    def apply_credentials(self, settings: Settings) -> dict[str, str]:
        """Bring what the settings declare into the catalog: what has changed, for the log.

        ServerError when it cannot be done, and nothing has changed.
        """
        try:
            with closing(Store.open(self.catalog)) as store:
                return _told(credentials.apply(store, settings.credentials))
        except CatalogError as error:
            raise ServerError(
                f"credentials: expected a catalog that can be changed: {error}"
            ) from error

    @property
    def all_listeners(self) -> tuple[Listener, ...]:
        """In the order of their names in the segment's header."""
        return (*self.listeners, *self.consoles, self.control)

    def told_metrics(self) -> dict[str, str]:
        """Where metrics are, if anywhere, for the log."""
        return {"metrics": ",".join(str(each.uri) for each in self.metrics)} if self.metrics else {}


@contextmanager
def opened(settings: Settings, log: Any, sockets: Sequence[Given] = ()) -> Iterator[Resources]:
    """Everything the server needs before it starts a process; ServerError when it cannot be had.

    ``sockets`` are those that are open already.
    """
    share = given.share(sockets, settings)
    _check_limits(settings, log)
    process = settings.process
    rundir.make_private(settings.run_dir, "process.run_dir", process.run_dir is not None)
    rundir.make_private(settings.data_dir, "process.data_dir", process.data_dir is not None)
    with ExitStack() as held:
        home = RunDir.open(settings.run_dir, settings.name)
        held.callback(home.close)
        for leftover in home.remove_leftovers(listeners.answers):
            log.warning("removed what a killed server left", leftover=leftover)
        _record(home, share, settings)
        commands = listeners.open_own(home.command_path, "command")
        held.callback(commands.close)
        held.callback(os.close, _locked(settings.data_dir))
        catalog = _catalog(settings, log)
        segment = _segment(home.segment_name, settings)
        held.callback(segment.close)
        bound = (*share.clients, *listeners.open_all(share.listen))
        for listener in bound:
            held.callback(listener.close)
        consoles = _consoles(home, share, log, local=not settings.console.allow_remote)
        for console in consoles:
            held.callback(console.close)
        metrics = _metrics(settings, log)
        for listener in metrics:
            held.callback(listener.close)
        control = listeners.open_own(home.control_path, "control")
        held.callback(control.close)
        _record(home, share, settings, consoles)
        table = SessionTable(segment)
        held.callback(table.close)
        bus = channel.bus(settings.worker_rows)
        for end in itertools.chain(*bus):
            held.callback(end.close)
        resources = Resources(
            segment, table, catalog, bound, consoles, control, commands, metrics, bus
        )
        _announce(segment, resources, own_console=share.console_listen is None)
        yield resources


def _record(
    home: RunDir, share: Share, settings: Settings, consoles: Sequence[Listener] = ()
) -> None:
    """Write down the sockets that are going to be opened, and the consoles that are open."""
    named = {
        "iproto.listen": share.listen,
        "console.listen": share.console_listen or (),
        "metrics.listen": settings.metrics.listen or (),
    }
    own = {os.path.realpath(path) for path in (home.control_path, home.command_path)}
    sockets = []
    if share.console_listen is None:
        own.add(os.path.realpath(home.console_path))
        sockets.append(home.console_path)
    handed = [listener.uri for listener in (*share.clients, *share.consoles)]
    for key, uris in {**named, "socket from systemd": handed}.items():
        for uri in uris:
            if isinstance(uri, TcpUri):
                continue
            if os.path.realpath(uri.path) in own:
                raise ServerError(
                    f"{key}: got {str(uri)!r}, expected no socket of the server's own"
                )
            if uri not in handed:
                sockets.append(uri.path)
    facts = {"name": settings.name, "catalog": str(settings.data_dir / FILE)}
    home.record(sockets, [str(console.uri) for console in consoles], **facts)


def _consoles(home: RunDir, share: Share, log: Any, *, local: bool) -> tuple[Listener, ...]:
    """The consoles' listeners; without any that is named, the one in the run directory."""
    uris = share.console_listen
    if uris is None:
        return (listeners.open_own(home.console_path, "console"),)
    opened = (*share.consoles, *listeners.open_all(uris, "console.listen", local=local))
    _warn(opened, log, OPEN_CONSOLE, "console")
    return opened


def _metrics(settings: Settings, log: Any) -> tuple[Listener, ...]:
    """The listeners of metrics, if there are any."""
    uris, remote = settings.metrics.listen or (), settings.metrics.allow_remote
    opened = listeners.open_all(uris, "metrics.listen", local=not remote)
    _warn(opened, log, OPEN_METRICS, "metrics")
    return opened


def _warn(opened: Sequence[Listener], log: Any, warning: str, what: str) -> None:
    """Say which of them other machines can reach."""
    for listener in opened:
        address = listener.socket.getsockname()
        if isinstance(listener.uri, TcpUri) and not is_loopback(address[0]):
            log.warning(warning, **{what: str(listener.uri)})


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
            told = _told(credentials.apply(store, settings.credentials))
        if told:
            log.info("applied the credentials of the settings", **told)
    except CatalogError as error:
        raise ServerError(
            f"process.data_dir: got {str(data_dir)!r}, expected a folder with a catalog "
            f"that can be used: {path}: {error}"
        ) from error
    return path


def _told(changed: Changed) -> dict[str, str]:
    """What has changed as fields of a log line."""
    return {name: ", ".join(found) for name, found in asdict(changed).items() if found}


def _check_limits(settings: Settings, log: Any) -> None:
    limit = limits.raise_open_files()
    total, rows = settings.session.limits.total, settings.worker_rows
    warning = limits.check_open_files(limit, total, settings.worker_count, rows)
    if warning is not None:
        log.warning(warning)
    hang, request = settings.workers.hang_timeout, settings.limits.request_time
    if hang and not 0 < request <= hang:
        log.warning(SHORT_HANG, hang_timeout=f"{hang:g}s", request_time=f"{request:g}s")


def _segment(name: str, settings: Settings) -> Segment:
    total = settings.session.limits.total
    try:
        count = settings.worker_count
        segment = Segment.create(
            name,
            total + RESERVE,
            count,
            settings.events.memory,
            spare=settings.worker_rows - count,
        )
    except SegmentError as error:
        raise ServerError(
            f"session.limits.total, events.memory: got {total} and "
            f"{settings.events.memory}, expected what fits: {error}"
        ) from error
    segment.header.reserved = RESERVE
    return segment


def _announce(segment: Segment, resources: Resources, own_console: bool) -> None:
    """Write the listeners' URIs into the header, and where among them the consoles are."""
    header, size = segment.header, layout.LISTENER_BYTES
    names = [str(listener.uri).encode()[: size - 1] for listener in resources.all_listeners]
    # Not by the header's field: that takes bytes up to the first NUL only.
    at = layout.Header.listener_names.offset
    segment.memory[at : at + size * len(names)] = b"".join(
        name.ljust(size, b"\0") for name in names
    )
    header.listeners = len(names)
    header.first_console, header.consoles = len(resources.listeners), len(resources.consoles)
    if own_console:
        header.own_console = header.first_console
    header.control_listener = len(names) - 1
