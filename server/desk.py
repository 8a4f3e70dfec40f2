"""The supervisor's command socket: several visitors at a time, none of whom is ever waited for.

    supervisor.sock --> who is it? --> a line --> server.commands --> the answer --> the next line
                        not this user, not root: closed

Everything happens in callbacks of the supervisor's loop. A visitor is read or written to, never
both, and a line of his is taken up in a turn of its own, so nobody holds up the others or the
server. Who sends no whole line, or does not take his answer, for PATIENCE seconds is sent away;
while a command is being done he may wait as long as it takes.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from typing import Any, Final

from server.commands import Commands, refusal
from server.doors import user_of
from server.loop import Loop, Timer
from server.reports import REPORT_PERIOD, Report
from server.spare import Spare

MOST_VISITORS: Final = 32
LONGEST_LINE: Final = 64 * 1024
"""Bytes of a command."""
PATIENCE: Final = 10.0
"""Seconds that a visitor may take for a line, or for an answer."""
RETRY: Final = 0.5
"""Seconds until accepting is tried again when the system was out of something."""

_CHUNK: Final = 16 * 1024


class Desk:
    """The listening socket and everybody who has connected; it does not own the socket."""

    def __init__(
        self,
        loop: Loop,
        listener: socket.socket,
        commands: Commands,
        log: Any,
        patience: float = PATIENCE,
    ) -> None:
        self.loop = loop
        self.commands = commands
        self.patience = patience
        self._listener = listener
        self._log = log
        self._visitors: set[Visitor] = set()
        self._open = True
        self._spare = Spare()
        self._trouble = Report(self._complain)
        self._reason: str | None = None
        listener.setblocking(False)
        loop.watch(listener, self._accept)

    def close(self) -> None:
        """Let everybody go, answered or not."""
        self._open = False
        self.loop.unwatch(self._listener)
        for visitor in list(self._visitors):
            visitor.close()
        self._spare.close()

    def forget(self, visitor: Visitor) -> None:
        """He has left."""
        self._visitors.discard(visitor)
        self._spare.refill()

    def _accept(self) -> None:
        try:
            with self._spare.lent():
                end, _ = self._listener.accept()
        except (BlockingIOError, ConnectionError):
            return
        except OSError as error:
            self._wait(error.strerror)
            return
        end.setblocking(False)
        if user_of(end.fileno()) not in (0, os.geteuid()):
            self._log.warning("command socket: closed what another user opened")
            end.close()
        elif len(self._visitors) >= MOST_VISITORS:
            with contextlib.suppress(OSError):
                end.send(refusal(f"{MOST_VISITORS} others give commands already"))
            end.close()
        else:
            self._visitors.add(Visitor(self, end))

    def _wait(self, reason: str | None) -> None:
        """Let nobody in for a moment; the log says so once a period."""
        self._reason = reason
        now = time.monotonic()
        self._trouble.hit(now)
        self.loop.after(REPORT_PERIOD, lambda: self._trouble.expire(time.monotonic()))
        self.loop.unwatch(self._listener)
        self.loop.after(RETRY, self._listen_again)

    def _complain(self, count: int) -> None:
        self._log.error(
            "command socket: cannot accept for now", reason=self._reason, failures=count
        )

    def _listen_again(self) -> None:
        if self._open:
            self.loop.watch(self._listener, self._accept)


class Visitor:
    """One connection."""

    def __init__(self, desk: Desk, end: socket.socket) -> None:
        self._desk = desk
        self._end = end
        self._input = bytearray()
        self._output = b""
        self._says_no_more = False
        self._timer: Timer | None = None
        self._await(self._read)

    def close(self) -> None:
        """Hang up."""
        self._rest()
        self._end.close()
        self._desk.forget(self)

    def _rest(self) -> None:
        """Neither read nor write."""
        self._desk.loop.unwatch(self._end)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _await(self, callback: Any, *, writing: bool = False) -> None:
        """Call back when he says or takes something; hang up when he does not."""
        self._desk.loop.watch(self._end, callback, writing=writing)
        self._timer = self._desk.loop.after(self._desk.patience, self.close)

    def _read(self) -> None:
        try:
            data = self._end.recv(_CHUNK)
        except BlockingIOError:
            return
        except OSError:
            self.close()
            return
        self._input += data
        self._says_no_more = not data
        if b"\n" in data or self._says_no_more:
            self._rest()
            self._take_up()
        elif len(self._input) > LONGEST_LINE:
            self._rest()
            self._says_no_more = True
            self._input.clear()
            self._reply(refusal(f"expected a line of at most {LONGEST_LINE} bytes"))

    def _take_up(self) -> None:
        """Do what the next line says, when there is one."""
        if self._end.fileno() < 0:
            return
        line, newline, rest = self._input.partition(b"\n")
        if newline:
            self._input = rest
            self._desk.commands.run(bytes(line), self._reply)
        elif self._says_no_more:
            self.close()
        else:
            self._await(self._read)

    def _reply(self, line: bytes) -> None:
        if self._end.fileno() >= 0:
            self._output = line
            self._write()

    def _write(self) -> None:
        try:
            self._output = self._output[self._end.send(self._output) :]
        except BlockingIOError:
            pass
        except OSError:
            self.close()
            return
        if not self._output:
            self._rest()
            self._desk.loop.after(0, self._take_up)
        elif self._timer is None:
            self._await(self._write, writing=True)
