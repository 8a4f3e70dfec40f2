"""The supervisor's event loop: descriptors, timers and signals, each as a plain callback.

    selectors --- descriptors --> callback()
    heap ------- due timers ----> callback()
    wake-up ---- signals -------> callback(number)

Python's signal handlers do nothing here but let the wake-up descriptor tell the number, so that no
callback ever runs in the middle of another one.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import selectors
import signal
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

_WAKE_UP_BYTES: Final = 4096


class Timer:
    """A callback that is due at a time, unless cancelled first."""

    def __init__(self, callback: Callable[[], None]) -> None:
        self._callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        """Never run it."""
        self._callback = None

    def fire(self) -> None:
        """Run it, once."""
        callback, self._callback = self._callback, None
        if callback is not None:
            callback()


class Loop:
    """Waits for what was registered and calls back until :meth:`stop`."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._timers: list[tuple[float, int, Timer]] = []
        self._order = itertools.count()
        self._stopped = False
        self._deliver_signals: Callable[[], None] = _nothing

    def watch(self, source: Any, callback: Callable[[], None], *, writing: bool = False) -> None:
        """Call back whenever ``source`` (anything with a fileno) is readable, or takes bytes."""
        events = selectors.EVENT_WRITE if writing else selectors.EVENT_READ
        self._selector.register(source, events, callback)

    def unwatch(self, source: Any) -> None:
        """Forget a source; one that is not watched is no error."""
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(source)

    def after(self, delay: float, callback: Callable[[], None]) -> Timer:
        """Call back once, ``delay`` seconds from now."""
        timer = Timer(callback)
        heapq.heappush(self._timers, (time.monotonic() + delay, next(self._order), timer))
        return timer

    @contextlib.contextmanager
    def signals(
        self, numbers: Iterable[signal.Signals], callback: Callable[[signal.Signals], None]
    ) -> Iterator[None]:
        """Deliver signals to ``callback`` while the block runs; main thread only."""
        reader, writer = socket.socketpair()
        with reader, writer:
            for end in (reader, writer):
                end.setblocking(False)

            before: dict[int, Any] = {}

            def deliver() -> None:
                with contextlib.suppress(BlockingIOError):
                    # A signal to a process and to its group may come as two at once.
                    for number in dict.fromkeys(reader.recv(_WAKE_UP_BYTES)):
                        if number in before:
                            callback(signal.Signals(number))

            # The descriptor first, so that no signal falls between it and the handlers.
            descriptor = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
            for number in numbers:
                before[number] = signal.signal(number, _do_nothing)
            self._deliver_signals = deliver
            self.watch(reader, deliver)
            try:
                yield
            finally:
                self.unwatch(reader)
                self._deliver_signals = _nothing
                signal.set_wakeup_fd(descriptor)
                for taken, handler in before.items():
                    signal.signal(taken, handler)

    def run(self) -> None:
        """Turn until :meth:`stop` is called, which may have been before."""
        while not self._stopped:
            found = self._selector.select(self._patience())
            # First, so that a child that was ended by the same signal is not taken for a dead one.
            self._deliver_signals()
            for key, _ in found:
                # An earlier callback of this turn may have given this one's source up.
                if self._selector.get_map().get(key.fd) is key:
                    key.data()
            self._fire()

    def stop(self) -> None:
        """Leave :meth:`run` after this turn, for good."""
        self._stopped = True

    def close(self) -> None:
        """Give the selector back."""
        self._selector.close()

    def _patience(self) -> float | None:
        return max(self._timers[0][0] - time.monotonic(), 0) if self._timers else None

    def _fire(self) -> None:
        now = time.monotonic()
        while self._timers and self._timers[0][0] <= now:
            heapq.heappop(self._timers)[2].fire()


def _nothing() -> None:
    """What there is to deliver while no signals are taken."""


def _do_nothing(_number: int, _frame: Any) -> None:
    """A handler, so that the signal wakes the loop instead of ending the process."""
