"""Sockets that systemd has opened for this server: what came, and what each one is for.

    $LISTEN_FDS, $LISTEN_PID, $LISTEN_FDNAMES --taken()--> Given, Given, ...
                                                               | share()      settings
                                                               v
                              clients, consoles, and what of the settings is still to be opened

A socket named ``iproto`` is for clients, one named ``console`` is a console: sockets with such a
name take the place of all of ``iproto.listen``, or ``console.listen``. One with another name takes
the place of the one URI of the settings with its address. What is neither is refused, and so is
what cannot be served. The file of a unix socket is systemd's: it stays as it is.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import stat
from collections.abc import MutableMapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from server.errors import SettingsError
from server.listeners import Listener
from server.settings import Settings
from server.uri import TcpUri, UnixUri, Uri, is_loopback, same_place
from shm import layout

FIRST_FD: Final = 3
CLIENTS: Final = "iproto"
CONSOLE: Final = "console"
UNNAMED: Final = "unknown"


@dataclass(frozen=True)
class Given:
    """One socket, and how its unit calls it (FileDescriptorName=)."""

    name: str
    listener: Listener


@dataclass(frozen=True)
class Share:
    """What is listened at: by whose socket, and what is to be opened."""

    clients: tuple[Listener, ...]
    consoles: tuple[Listener, ...]
    listen: tuple[Uri, ...]
    """What is left of ``iproto.listen``."""
    console_listen: tuple[Uri, ...] | None
    """What is left of ``console.listen``; None: the console of the run directory."""


def taken(environment: MutableMapping[str, str]) -> tuple[Given, ...]:
    """The sockets that came, out of an environment which then tells of them no more.

    SettingsError when one is none that can be listened at.
    """
    count = environment.pop("LISTEN_FDS", "")
    pid = environment.pop("LISTEN_PID", "")
    text = environment.pop("LISTEN_FDNAMES", "")
    if not count or pid != str(os.getpid()):
        return ()
    if not (count.isascii() and count.isdecimal()):
        raise SettingsError(f"LISTEN_FDS: got {count!r}, expected a number (environment)")
    names = text.split(":") if text else [UNNAMED] * int(count)
    if len(names) != int(count):
        raise SettingsError(
            f"LISTEN_FDNAMES: got {len(names)} names, expected {count} (environment)"
        )
    with ExitStack() as undo:
        found = tuple(_given(fd, name, undo) for fd, name in enumerate(names, FIRST_FD))
        undo.pop_all()
    return found


def _given(fd: int, name: str, undo: ExitStack) -> Given:
    try:
        os.set_inheritable(fd, False)
        end = undo.enter_context(socket.socket(fileno=fd))
    except OSError as error:
        raise _refused(name, f"file descriptor {fd}", "a socket", error.strerror) from error
    if end.family not in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX):
        raise _refused(name, f"family {int(end.family)}", "a TCP or a unix socket")
    if end.type != socket.SOCK_STREAM:
        raise _refused(name, _shown(end), "a stream socket (ListenStream=)")
    if not end.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        raise _refused(name, _shown(end), "a socket that listens (Accept=no)")
    return Given(name, Listener(_uri(name, end), end))


def _uri(name: str, end: socket.socket) -> Uri:
    address = end.getsockname()
    if end.family == socket.AF_UNIX:
        if not isinstance(address, str) or not address.startswith("/"):
            raise _refused(name, _shown(end), "a unix socket with an absolute path")
        return UnixUri(address)
    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if end.family == socket.AF_INET6:
        host = ipaddress.IPv6Address(address[0])
        both = not end.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
        if both and (host.is_unspecified or host.ipv4_mapped):
            # All IPv4 clients would have the same first 64 bits, which is one address to limits.
            raise _refused(name, _shown(end), "IPv6 only (BindIPv6Only=ipv6-only)")
    return TcpUri(address[0], address[1])


def share(given: Sequence[Given], settings: Settings) -> Share:
    """What each socket is for; SettingsError when that is not clear, or not allowed."""
    clients: list[Listener] = []
    consoles: list[Listener] = []
    for one in given:
        uri = one.listener.uri
        if one.name == CLIENTS or (one.name != CONSOLE and _among(uri, settings.iproto.listen)):
            wanted = _among(uri, settings.iproto.listen) or uri
            clients.append(Listener(wanted, one.listener.socket))
        elif one.name == CONSOLE or _among(uri, settings.consoles or ()):
            _check_console(one, settings)
            consoles.append(one.listener)
        else:
            raise _refused(
                one.name,
                str(uri),
                f"the name {CLIENTS} or {CONSOLE} (FileDescriptorName=), or an address of "
                "iproto.listen or console.listen",
            )
    names = {one.name for one in given}
    listen = () if CLIENTS in names else _left(settings.iproto.listen, clients)
    rest = () if CONSOLE in names else settings.consoles
    found = Share(
        tuple(clients), tuple(consoles), listen, None if rest is None else _left(rest, consoles)
    )
    _check_counts(found)
    return found


def _check_console(one: Given, settings: Settings) -> None:
    """Whoever reaches a console is admin: the rules of ``console.listen``."""
    uri = one.listener.uri
    if not settings.console.enabled:
        raise _refused(one.name, str(uri), "no console: console.enabled is false")
    if isinstance(uri, TcpUri):
        if not (is_loopback(uri.host) or settings.console.allow_remote):
            raise _refused(
                one.name,
                str(uri),
                "a unix socket or a loopback address, or console.allow_remote: true",
            )
        return
    try:
        everybody = Path(uri.path).stat().st_mode & stat.S_IWOTH
    except OSError as error:
        raise _refused(one.name, str(uri), "a file at its path", error.strerror) from error
    if everybody:
        raise _refused(one.name, str(uri), "a socket not for everybody (SocketMode=0600)")


def _check_counts(found: Share) -> None:
    for what, most, count in (
        (CLIENTS, layout.MAX_LISTENERS, len(found.clients) + len(found.listen)),
        (CONSOLE, layout.MAX_CONSOLES, len(found.consoles) + len(found.console_listen or ())),
    ):
        if count > most:
            raise SettingsError(
                f"sockets from systemd: got {count} of {what}, those of the settings among them, "
                f"expected at most {most}"
            )


def _among(uri: Uri, uris: Sequence[Uri]) -> Uri | None:
    return next((one for one in uris if same_place(one, uri)), None)


def _left(uris: Sequence[Uri], listeners: Sequence[Listener]) -> tuple[Uri, ...]:
    have = [listener.uri for listener in listeners]
    return tuple(uri for uri in uris if not _among(uri, have))


def _shown(end: socket.socket) -> str:
    address = end.getsockname()
    if isinstance(address, tuple):
        return str(TcpUri(address[0], address[1]))
    return os.fsdecode(address).replace("\0", "@", 1) or "a socket without address"


def _refused(name: str, got: str, expected: str, why: str | None = None) -> SettingsError:
    reason = "" if why is None else f": {why.lower()}"
    return SettingsError(
        f"socket {name!r} from systemd: got {got}, expected {expected}{reason} (environment)"
    )
