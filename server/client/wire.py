"""The socket of the client: bytes out without waiting, bytes in with a deadline, or until Ctrl-C.

``send`` never waits. What the kernel does not take at once goes out while :meth:`Wire.receive`
waits, so two ends that both have much to say do not block each other, and a wait may be given up at
any moment without a byte being lost.
"""

from __future__ import annotations

import contextlib
import select
import socket
import time
from typing import Final

from server.client.failures import ClientError, Gone, Interrupted, Late
from server.uri import UnixUri, Uri

CONNECT_SECONDS: Final = 10.0

_CHUNK: Final = 1 << 18


class Wire:
    """A connected stream socket; ``where`` is what error lines call the other end."""

    def __init__(self, connected: socket.socket, where: str) -> None:
        connected.setblocking(False)
        self.where = where
        self._socket = connected
        self._unsent = bytearray()
        self._deaf = False

    @classmethod
    def open(cls, address: Uri, where: str) -> Wire:
        """Connect; ClientError with the reason when that fails."""
        try:
            connected = _connected(address)
        except OSError as error:
            reason = error.strerror or str(error)
            raise ClientError(f"cannot connect to {where}: {reason}") from None
        return cls(connected, where)

    def fileno(self) -> int:
        """The descriptor, for those who wait for more than this socket."""
        return self._socket.fileno()

    def close(self) -> None:
        """Close it; what was not sent is dropped."""
        self._socket.close()

    def send(self, data: bytes) -> None:
        """Send what can be sent now and keep the rest for later."""
        self._unsent += data
        self._flush()

    def receive(self, deadline: float | None = None, interrupts: int | None = None) -> bytes:
        """The next bytes, at least one.

        ``deadline`` is a time of time.monotonic(), ``interrupts`` a descriptor that becomes
        readable when the user has had enough. Late, Interrupted or Gone when nothing comes.
        """
        while True:
            self._await(deadline, interrupts)
            self._flush()
            data = self.receive_nowait()
            if data:
                return data

    def receive_nowait(self) -> bytes:
        """What is there now, which may be nothing; Gone at the end of the stream."""
        try:
            data = self._socket.recv(_CHUNK)
        except BlockingIOError:
            return b""
        except OSError as error:
            raise Gone(f"lost the connection to {self.where}: {error.strerror}") from None
        if not data:
            raise Gone(f"{self.where} has closed the connection")
        return data

    def _await(self, deadline: float | None, interrupts: int | None) -> None:
        poll = select.poll()
        poll.register(self._socket, select.POLLIN | (select.POLLOUT if self._unsent else 0))
        if interrupts is not None:
            poll.register(interrupts, select.POLLIN)
        patience = None if deadline is None else max(0.0, deadline - time.monotonic()) * 1000
        ready = {number for number, _ in poll.poll(patience)}
        if interrupts in ready:
            raise Interrupted
        if not ready:
            raise Late

    def _flush(self) -> None:
        if self._deaf:
            self._unsent.clear()
        while self._unsent:
            try:
                count = self._socket.send(self._unsent)
            except BlockingIOError:
                return
            except OSError:
                # It reads no more, but may have said why: that is what receive finds.
                self._deaf = True
                self._unsent.clear()
                with contextlib.suppress(OSError):
                    self._socket.shutdown(socket.SHUT_WR)
                return
            del self._unsent[:count]


def _connected(address: Uri) -> socket.socket:
    if not isinstance(address, UnixUri):
        to = (address.host, address.port)
        connected = socket.create_connection(to, timeout=CONNECT_SECONDS)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connected
    connected = socket.socket(socket.AF_UNIX)
    try:
        connected.settimeout(CONNECT_SECONDS)
        connected.connect(address.path)
    except OSError:
        connected.close()
        raise
    return connected
