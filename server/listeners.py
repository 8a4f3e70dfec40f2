"""Bound sockets for listen URIs.

The supervisor opens them once and keeps them for the life of the server, so that connections in
the backlog survive the death of an acceptor. Accepted sockets inherit TCP_NODELAY from here.

A unix socket is made with mode 0600: only the server's user may connect, since a guest may run
any code. A file left by a dead server is replaced; one that answers is not touched. The control
socket and the console's, unix sockets in the run directory, are ours by the directory's lock: what
lies at their paths is always replaced.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from server.errors import ServerError
from server.uri import TcpUri, UnixUri, Uri, is_loopback

BACKLOG: Final = 4096
UNIX_MASK: Final = 0o177
"""File mode bits a unix socket must not have."""
OWN_BACKLOG: Final = 64
"""Of a socket in the run directory."""
_PROBE_SECONDS: Final = 1.0
_PATH_BYTES: Final = 107
"""Longest path of a unix socket."""


@dataclass(frozen=True)
class Listener:
    """One bound socket; ``uri`` tells the real port.

    ``inode`` is that of a unix socket's file, None when the file is somebody else's.
    """

    uri: Uri
    socket: socket.socket
    inode: int | None = None

    @property
    def path(self) -> str | None:
        """Path of a unix socket's file, None for other listeners."""
        return self.uri.path if isinstance(self.uri, UnixUri) else None

    def close(self) -> None:
        """Stop listening; the file of a unix socket goes, if it is still this one's."""
        self.socket.close()
        if self.inode is None or not isinstance(self.uri, UnixUri):
            return
        if _inode(self.uri.path) == self.inode:
            Path(self.uri.path).unlink(missing_ok=True)


class _RefusedError(Exception):
    """Why an address cannot be listened at, for the end of a line."""


def open_all(
    uris: Sequence[Uri], key: str = "iproto.listen", *, local: bool = False
) -> tuple[Listener, ...]:
    """Bind every URI or none; ServerError names the one that failed, which the setting ``key`` has.

    With ``local`` no other machine may reach them.
    """
    opened = []
    with ExitStack() as undo:
        for uri in uris:
            try:
                listener = _open_unix(uri) if isinstance(uri, UnixUri) else _open_tcp(uri, local)
            except _RefusedError as error:
                raise ServerError(
                    f"{key}: got {str(uri)!r}, expected a free address: {error}"
                ) from error
            undo.callback(listener.close)
            opened.append(listener)
        undo.pop_all()
    return tuple(opened)


def _open_tcp(uri: TcpUri, local: bool) -> Listener:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            uri.host, uri.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as error:
        raise _RefusedError(f"the host is unknown: {error.strerror}") from error
    if local and not is_loopback(str(address[0])):
        raise _RefusedError(f"{address[0]}, which it stands for, is no loopback address")
    end = socket.socket(family, kind, protocol)
    try:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if family == socket.AF_INET6:
            end.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        end.bind(address)
        end.listen(BACKLOG)
    except OSError as error:
        end.close()
        raise _RefusedError(_reason(error)) from error
    return Listener(replace(uri, port=end.getsockname()[1]), end)


def open_own(path: str, what: str) -> Listener:
    """Bind a socket of a locked run directory; ServerError, with ``what``, when that fails."""
    if len(os.fsencode(path)) > _PATH_BYTES:
        raise _no_room(path, what, f"a unix socket's path has at most {_PATH_BYTES} bytes")
    try:
        if Path(path).is_socket():
            Path(path).unlink()
        return Listener(UnixUri(path), _bound(path, OWN_BACKLOG), _inode(path))
    except OSError as error:
        raise _no_room(path, what, _reason(error)) from error


def _open_unix(uri: UnixUri) -> Listener:
    _remove_stale(uri)
    try:
        return Listener(uri, _bound(uri.path, BACKLOG), _inode(uri.path))
    except OSError as error:
        raise _RefusedError(_reason(error)) from error


def _bound(path: str, backlog: int) -> socket.socket:
    """A unix socket that listens; its file never has another mode than 0600."""
    end = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(UNIX_MASK)
    try:
        end.bind(path)
        end.listen(backlog)
    except OSError:
        end.close()
        raise
    finally:
        os.umask(mask)
    return end


def _remove_stale(uri: UnixUri) -> None:
    """Remove the socket file of a server that is dead."""
    path = Path(uri.path)
    if not path.exists():
        return
    if not path.is_socket():
        raise _RefusedError("a file that is no socket is there")
    if answers(uri.path):
        raise _RefusedError("another server listens there")
    path.unlink(missing_ok=True)


def answers(path: str) -> bool:
    """Whether somebody listens at a unix socket, or may: only a refusal says that nobody does."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(_PROBE_SECONDS)
        try:
            probe.connect(path)
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except OSError:
            return True
    return True


def _inode(path: str) -> int | None:
    try:
        return Path(path).stat(follow_symlinks=False).st_ino
    except OSError:
        return None


def _reason(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "the address is in use"
    return (error.strerror or str(error)).lower()


def _no_room(path: str, what: str, reason: str) -> ServerError:
    return ServerError(
        f"process.run_dir: got {str(Path(path).parent)!r}, "
        f"expected a folder for the {what} socket: {reason}"
    )
