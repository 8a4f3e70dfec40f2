"""The process of metrics: start it, talk to it, start another one when it ends.

    start --> ready --> ... --> dead --> restart.decide: start again
                                nobody but who asks for metrics notices

The server starts and serves without it, so neither its death nor that it cannot be started ends
anything. It is the last to stop, since it tells how the server stops. :mod:`server.supervisor` owns
the surveyor.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import Any, Final

from server import children, ends
from server.children import Child
from server.loop import Loop, Timer
from server.restart import Decision, History, Outlook
from server.spare import Spare
from shm.channel import ChannelClosedError
from shm.launch import METRICS_MODULE, MetricsOrder
from shm.segment import Segment

STOP_SECONDS: Final = 1.0
"""Time to end by itself, when nothing else of the server runs any more."""


class Surveyor:
    """The process of metrics, whichever it is.

    ``wanted`` tells whether the server keeps one, ``gone`` is called when it has ended.
    """

    def __init__(
        self,
        loop: Loop,
        segment: Segment,
        log: Any,
        order_for: Callable[[socket.socket], MetricsOrder],
        spare: Spare,
        wanted: Callable[[], bool],
        gone: Callable[[], None],
        module: str = METRICS_MODULE,
    ) -> None:
        self._loop = loop
        self._segment = segment
        self._log = log
        self._module = module
        self._order_for = order_for
        self._spare = spare
        self._wanted = wanted
        self._gone = gone
        self._history = History()
        self._started = False
        self._stopping: Timer | None = None
        self.child: Child | None = None
        """The process, None while there is none."""
        self.outlook = Outlook()

    @property
    def ready(self) -> bool:
        """Whether it answers."""
        return self.child is not None and self.child.ready

    def begin(self) -> None:
        """Start one, if it is wanted, now or later."""
        if self._wanted():
            self._start()

    def _start(self) -> None:
        header = self._segment.header
        try:
            self.child = children.start("metrics", self._module, self._order_for, self._spare)
        except OSError as error:
            self._history, decision = ends.without_process(self._history)
            self._log.error("metrics cannot be started", reason=str(error), **ends.told(decision))
            self._start_later(decision)
            return
        self.outlook = self.outlook.without_start()
        header.metrics_pid = self.child.pid
        header.metrics_restarts += int(self._started)
        self._started = True
        self._loop.watch(self.child, self._ended)
        self._loop.watch(self.child.control, self._hear)

    def tell(self, message: dict[str, Any]) -> None:
        """Send to it, if there is one."""
        if self.child is None:
            return
        try:
            self.child.control.send(message)
        except ChannelClosedError:
            # Its end follows.
            return
        except BlockingIOError:
            self._log.error("metrics do not read their channel: killed")
            self.child.kill()

    def stop(self) -> None:
        """Ask it to end, and end it when it does not."""
        if self.child is not None and self._stopping is None:
            ends.stop(self.child)
            self._stopping = self._loop.after(STOP_SECONDS, self.kill)

    def kill(self) -> None:
        """End it at once."""
        if self.child is not None:
            self.child.kill()

    def _hear(self) -> None:
        """Read what it says."""
        child = self.child
        assert child is not None
        try:
            while (received := child.control.receive()) is not None:
                if received[0]["op"] == "ready":
                    child.ready = True
                    self.outlook = self.outlook.is_ready()
        except ChannelClosedError:
            self._loop.unwatch(child.control)

    def _ended(self) -> None:
        self._hear()
        child, self.child = self.child, None
        assert child is not None
        code = child.exit_code()
        self._loop.unwatch(child)
        self._loop.unwatch(child.control)
        child.close()
        self._segment.header.metrics_pid = 0
        self.outlook = self.outlook.ends(ends.reason(child, code), time.time())
        if self._wanted():
            self._history, decision = ends.after_end(self._history, child, code)
            say = self._log.info if ends.orderly(child.ready, code) else self._log.error
            say("metrics ended", reason=ends.describe(code), **ends.told(decision))
            self._start_later(decision)
        self._gone()

    def _start_later(self, decision: Decision) -> None:
        self.outlook = self.outlook.waits(decision, time.monotonic())
        self._loop.after(decision.delay, self.begin)
