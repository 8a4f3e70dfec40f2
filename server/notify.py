"""Tells the service manager that has started this server how it fares: systemd's sd_notify.

    $NOTIFY_SOCKET   one datagram a message
        STATUS=...                         what `systemctl status` shows
        READY=1                            connections are taken
        RELOADING=1 ... READY=1            around a reload
        WATCHDOG=1                         at half of $WATCHDOG_USEC, while server.lifesign says so
        STOPPING=1

The supervisor is the only caller; it hands over its environment, out of which the variables are
taken, so that no child speaks for the server. Without $NOTIFY_SOCKET nothing is told.
"""

from __future__ import annotations

import os
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterable, MutableMapping
from dataclasses import dataclass
from typing import Any, Final

from server.lifesign import Lifesign
from server.loop import Loop
from shm.segment import Segment
from shm.states import WorkerState

SEND_SECONDS: Final = 0.2
"""How long a message may wait for a manager that does not read."""
STATUS_PERIOD: Final = 1.0
LEAST_PATIENCE: Final = 3.0
"""Seconds without a turn of any worker that say nothing: an idle one turns once a second."""


@dataclass(frozen=True)
class Manager:
    """Where to tell, and seconds between two signs of life that are expected; None for neither."""

    address: str | None = None
    watchdog: float | None = None

    @classmethod
    def taken(cls, environment: MutableMapping[str, str]) -> Manager:
        """What the environment says, which says it no more."""
        address = environment.pop("NOTIFY_SOCKET", "")
        period = environment.pop("WATCHDOG_USEC", "")
        pid = environment.pop("WATCHDOG_PID", "") or str(os.getpid())
        if not address.startswith(("/", "@")):
            return cls()
        if address.startswith("@"):
            # An abstract address, as tools write it.
            address = "\0" + address[1:]
        watched = pid == str(os.getpid()) and period.isascii() and period.isdecimal()
        return cls(address, int(period) / 1e6 if watched and int(period) else None)


class Notifier:
    """The voice of one server."""

    def __init__(self, manager: Manager, loop: Loop, log: Any) -> None:
        self._manager = manager
        self._loop = loop
        self._log = log
        self._status = ""
        self._stopping = False
        self._lived = True
        self._say("starting")

    def ready(self, segment: Segment) -> None:
        """Connections are taken; from now on the workers' rows tell how things are."""
        if self._manager.address is None:
            return
        self._tell("READY=1")
        self._describe(segment)
        watchdog = self._manager.watchdog
        if watchdog is not None:
            period = watchdog / 2
            self._live(segment, Lifesign(max(watchdog, LEAST_PATIENCE), period), period)

    def reloading(self, answer: Callable[[dict[str, Any]], None]) -> Callable[[Any], None]:
        """A reload begins, which is over, whatever has come of it, when its answer is given."""
        now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._tell("RELOADING=1", f"MONOTONIC_USEC={now}")

        def over(result: dict[str, Any]) -> None:
            if not self._stopping:
                self._tell("READY=1")
            answer(result)

        return over

    def stopping(self, failure: Exception | None) -> None:
        """The end has begun, because of a failure or because somebody wants it."""
        self._stopping = True
        self._tell("STOPPING=1")
        self._say("stopping" if failure is None else str(failure))

    def _describe(self, segment: Segment) -> None:
        """Say how many workers there are now and from now on."""
        if not self._stopping:
            self._say(described([WorkerState(row.state) for row in segment.rows]))
            self._loop.after(STATUS_PERIOD, lambda: self._describe(segment))

    def _live(self, segment: Segment, lifesign: Lifesign, period: float) -> None:
        """Give a sign of life now and from now on; a stop has a time limit of its own."""
        beats = tuple(int(row.heartbeat) for row in segment.rows)
        lives = lifesign.look(beats, time.monotonic()) or self._stopping
        if lives:
            self._tell("WATCHDOG=1")
        elif self._lived:
            self._log.error("no worker turns: no more signs of life for the service manager")
        self._lived = lives
        self._loop.after(period, lambda: self._live(segment, lifesign, period))

    def _say(self, status: str) -> None:
        if status != self._status:
            self._status = status
            self._tell(f"STATUS={status}")

    def _tell(self, *lines: str) -> None:
        address = self._manager.address
        if address is None:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
                end.settimeout(SEND_SECONDS)
                end.sendto("\n".join(lines).encode(), address)
        except OSError as error:
            said = lines[0].partition("=")[0]
            self._log.warning("the service manager cannot be told", what=said, reason=str(error))


def described(states: Iterable[WorkerState]) -> str:
    """The workers' rows in words."""
    found = Counter(states)
    del found[WorkerState.ABSENT]
    ready = found.pop(WorkerState.READY, 0)
    others = (f"{count} {state.name.lower()}" for state, count in sorted(found.items()))
    return "workers: " + ", ".join((f"{ready} ready", *others))
