"""Giving a command to a running server: finds its socket, sends a line, waits for the answer.

    folder() --> Conversation: ask(command) --> answer, or ServerError
                               wait_gone() ---> whether the process has ended

The server is the one that runs in a run directory. Light like ``beespace connect``: nothing here
reads settings. :mod:`server.cli.operation` is the caller.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any, Final, Self

from server import places
from server.errors import ExitStatus, ServerError

ANSWER_SECONDS: Final = 10.0
"""How long a server may take for an answer that it can give at once."""

_CREDENTIALS: Final = 12
"""Bytes of the kernel's struct ucred: pid, uid, gid."""
_CHUNK: Final = 1 << 16


def folder(run_dir: str | None, name: str | None) -> Path:
    """The run directory that is meant; ServerError when there is no place for one."""
    if run_dir:
        return Path(run_dir).absolute()
    try:
        return places.run_dir(name or places.DEFAULT_NAME)
    except OSError as error:
        raise ServerError(
            f"no run directory: {error}; give --run-dir", exit_code=ExitStatus.NOT_RUNNING
        ) from None


class Conversation:
    """A connection to the supervisor of the server that runs in ``place``.

    ServerError with exit code NOT_RUNNING when none does.
    """

    def __init__(self, place: Path) -> None:
        end_by_signals()
        self._place = place
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._rest = b""
        self._process: int | None = None
        try:
            self._socket.settimeout(ANSWER_SECONDS)
            self._socket.connect(str(place / places.COMMAND_FILE))
            self.pid = self._peer()
            # Before a word is said: a number may belong to another process as soon as this ends.
            self._process = os.pidfd_open(self.pid)
        except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError, ProcessLookupError):
            self.close()
            raise self._absent() from None
        except OSError as error:
            self.close()
            reason = error.strerror or str(error)
            raise ServerError(f"cannot reach the server in {place}: {reason}") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Hang up."""
        self._socket.close()
        if self._process is not None:
            os.close(self._process)
            self._process = None

    def ask(
        self, command: str, arguments: dict[str, Any] | None = None, *, patience: float | None
    ) -> dict[str, Any]:
        """Give one command; ServerError when it is refused or not answered in time."""
        line = json.dumps({"command": command, "arguments": arguments or {}}).encode() + b"\n"
        try:
            self._socket.sendall(line)
            answer = self._line(None if patience is None else time.monotonic() + patience)
        except TimeoutError:
            raise ServerError(
                f"the server in {self._place} (process {self.pid}) does not answer"
            ) from None
        except OSError:
            answer = b""
        if not answer:
            raise (
                self._absent()
                if self._over(0)
                else ServerError(f"the server in {self._place} (process {self.pid}) has hung up")
            )
        told = json.loads(answer)
        if not told.get("ok"):
            raise ServerError(str(told.get("error", "refused")))
        return dict(told["answer"])

    def wait_gone(self, patience: float) -> bool:
        """Wait for the end of the process; whether it has come."""
        return self._over(patience)

    def _peer(self) -> int:
        found = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS)
        return int.from_bytes(found[:4], sys.byteorder)

    def _line(self, deadline: float | None) -> bytes:
        while b"\n" not in self._rest:
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                raise TimeoutError
            self._socket.settimeout(left)
            data = self._socket.recv(_CHUNK)
            if not data:
                return b""
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\n")
        return line

    def _over(self, patience: float) -> bool:
        assert self._process is not None
        poll = select.poll()
        poll.register(self._process, select.POLLIN)
        return bool(poll.poll(patience * 1000))

    def _absent(self) -> ServerError:
        return ServerError(
            f"no server runs in {self._place}; give --run-dir or --name",
            exit_code=ExitStatus.NOT_RUNNING,
        )


def end_by_signals() -> None:
    """Let signals end this process as any other: the command's handlers are right for servers."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
