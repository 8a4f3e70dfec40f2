"""Plays systemd for one server: a socket for its messages, sockets that it finds open, variables.

As systemd does it the server's process is the one that the variables name: what is started is this
file, as a script, which brings the descriptors to 3 and up, and becomes the server.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Final

FIRST_FD: Final = 3
MESSAGE_BYTES: Final = 4096


class Systemd:
    """A service manager; ``handed`` are the sockets it gives, each with its name."""

    def __init__(
        self,
        folder: Path,
        watchdog: float | None = None,
        handed: Sequence[tuple[str, socket.socket]] = (),
    ) -> None:
        self.handed = tuple(handed)
        self._path = folder / "notify"
        self._watchdog = watchdog
        self._messages: list[str] = []
        self._end = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._end.bind(str(self._path))
        self._end.setblocking(False)

    def __enter__(self) -> Systemd:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end.close()
        for _, end in self.handed:
            end.close()

    @property
    def fds(self) -> tuple[int, ...]:
        """Descriptors for the server."""
        return tuple(end.fileno() for _, end in self.handed)

    @property
    def messages(self) -> list[str]:
        """Everything the server has said so far."""
        while True:
            try:
                self._messages.append(self._end.recv(MESSAGE_BYTES).decode())
            except BlockingIOError:
                return self._messages

    def command(self, words: Sequence[str]) -> list[str]:
        """The command line that becomes ``words`` under this manager."""
        given = [f"NOTIFY_SOCKET={self._path}"]
        if self._watchdog is not None:
            given.append(f"WATCHDOG_USEC={self._watchdog * 1e6:.0f}")
        if self.handed:
            given.append(f"LISTEN_FDS={len(self.handed)}")
            given.append("LISTEN_FDNAMES=" + ":".join(name for name, _ in self.handed))
        fds = ",".join(map(str, self.fds))
        return [sys.executable, "-I", __file__, fds, *given, "--", *words]


def _become(fds: Sequence[int], words: list[str]) -> None:
    """Bring the descriptors to where they are expected, and run the command after ``--``."""
    # Above all others first, so that none is written over before it is moved.
    high = [os.dup2(fd, max((FIRST_FD, *fds)) + 64 + at) for at, fd in enumerate(fds)]
    for at, fd in enumerate(high):
        os.dup2(fd, FIRST_FD + at)
        os.close(fd)
    rest = words.index("--")
    variables = dict(word.split("=", 1) for word in words[:rest])
    pid = str(os.getpid())
    named = {"LISTEN_PID": pid, "WATCHDOG_PID": pid}
    os.execve(words[rest + 1], words[rest + 1 :], {**os.environ, **named, **variables})


if __name__ == "__main__":
    _become([int(fd) for fd in sys.argv[1].split(",") if fd], sys.argv[2:])
