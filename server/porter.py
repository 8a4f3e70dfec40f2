"""The acceptor of a server: start it, talk to it, start another one when it ends.

    start --> ready --> accept --> ... --> dead --> restart.decide: start again
                                            sessions go on; connections wait in the backlog

The supervisor owns the porter and hears of what happens through :class:`Listener`.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from server import children, ends
from server.children import Child
from server.loop import Loop
from server.restart import Decision, History, Outlook
from server.spare import Spare
from shm.channel import ChannelClosedError
from shm.launch import AcceptorOrder
from shm.segment import Segment
from shm.states import WorkerState


class Listener(Protocol):
    """Who hears of the acceptor: the supervisor."""

    def acceptor_started(self) -> bool:
        """A process has begun; whether it may accept as soon as it can."""

    def acceptor_ready(self) -> None:
        """It can accept."""

    def acceptor_ended(self, code: int | None) -> bool:
        """Its process has ended; whether another one is to be started."""

    def worker_gone(self, index: int, death: int) -> None:
        """It says that it uses a dead worker no more."""

    def worker_spared(self, index: int, death: int) -> None:
        """It says that it gives a worker that drains nothing new any more."""


class Porter:
    """The acceptor, whichever process it is."""

    def __init__(
        self,
        loop: Loop,
        segment: Segment,
        log: Any,
        listener: Listener,
        module: str,
        order_for: Callable[[socket.socket], AcceptorOrder],
        spare: Spare,
    ) -> None:
        self._loop = loop
        self._segment = segment
        self._log = log
        self._listener = listener
        self._module = module
        self._order_for = order_for
        self._spare = spare
        self._history = History()
        self._stopping = False
        self.child: Child | None = None
        """The process, None while there is none."""
        self.outlook = Outlook()

    @property
    def ready(self) -> bool:
        """Whether it can accept, or does."""
        return self.child is not None and self.child.ready

    def start(self) -> None:
        """Start one; OSError when no process can be made."""
        self.child = children.start("acceptor", self._module, self._order_for, self._spare)
        self.outlook = self.outlook.without_start()
        header = self._segment.header
        header.acceptor_pid = self.child.pid
        header.acceptor_state = WorkerState.STARTING
        self._loop.watch(self.child, self._ended)
        self._loop.watch(self.child.control, self._hear)
        if self._listener.acceptor_started():
            header.acceptor_restarts += 1
            self.tell({"op": "accept"})

    def tell(self, message: dict[str, Any], fds: Iterable[int] = ()) -> bool:
        """Send to the acceptor; False when there is none."""
        if self.child is None:
            return False
        try:
            self.child.control.send(message, list(fds))
        except ChannelClosedError:
            # Its end follows, and with it everything that a dead acceptor means.
            return True
        except BlockingIOError:
            self._log.error("the acceptor does not read its channel: killed")
            self.child.kill()
        return True

    def stop(self) -> None:
        """Ask it to end; none is started again."""
        self._stopping = True
        self.outlook = self.outlook.without_start()
        if self.child is not None:
            self._segment.header.acceptor_state = WorkerState.STOPPING
            ends.stop(self.child)

    def kill(self) -> None:
        """End it at once."""
        if self.child is not None:
            self.child.kill()

    def _hear(self) -> None:
        """Read what the acceptor says."""
        child = self.child
        assert child is not None
        try:
            while (received := child.control.receive()) is not None:
                message, _ = received
                if message["op"] == "ready":
                    self._is_ready(child)
                elif message["op"] == "worker_gone":
                    self._listener.worker_gone(message["index"], message["death"])
                elif message["op"] == "worker_spared":
                    self._listener.worker_spared(message["index"], message["death"])
        except ChannelClosedError:
            self._loop.unwatch(child.control)

    def _is_ready(self, child: Child) -> None:
        child.ready = True
        self.outlook = self.outlook.is_ready()
        self._segment.header.acceptor_storm = 0
        if not self._stopping:
            self._segment.header.acceptor_state = WorkerState.READY
        self._listener.acceptor_ready()

    def _ended(self) -> None:
        self._hear()
        child, self.child = self.child, None
        assert child is not None
        code = child.exit_code()
        self._loop.unwatch(child)
        self._loop.unwatch(child.control)
        child.close()
        header = self._segment.header
        header.acceptor_pid, header.acceptor_state = 0, WorkerState.DEAD
        self.outlook = self.outlook.ends(ends.reason(child, code), time.time())
        if self._listener.acceptor_ended(code):
            self._history, decision = ends.after_end(self._history, child, code)
            say = self._log.info if ends.orderly(child.ready, code) else self._log.error
            say("acceptor ended", reason=self.outlook.reason, **ends.told(decision))
            self._start_later(decision)

    def _start_later(self, decision: Decision) -> None:
        self._segment.header.acceptor_storm = int(decision.storm)
        self.outlook = self.outlook.waits(decision, time.monotonic())
        self._loop.after(decision.delay, self._restart)

    def _restart(self) -> None:
        if self._stopping:
            return
        try:
            self.start()
        except OSError as error:
            self._history, decision = ends.without_process(self._history)
            self._log.error("acceptor cannot be started", reason=str(error), **ends.told(decision))
            self._start_later(decision)
