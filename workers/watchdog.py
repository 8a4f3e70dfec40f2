"""Ends Lua code that runs too long: a thread beside the Lua loop.

:mod:`workers.process` starts it when ``limits.request_time`` is set. While Lua runs, Python's other
threads run too, so this one can look at the loop's pulse: some numbers at the head of its state
that change with each request, and each time a fiber goes on.

    the same for limits.request_time   say which session and function, and set Lua's hook: it
                                       raises an error in the code, see lua/engine/interrupt.lua
    it still runs                      again
    twice the time is over             compiled code that never comes back to the interpreter, or a
                                       C function that does not return: say so and end the process;
                                       the supervisor starts another one

:class:`Patience` decides, without looking at anything but its arguments.
"""

from __future__ import annotations

import ctypes
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import Any, Final, Self

from shm import logs
from shm.sessions import SessionTable
from workers import packets

IDENTITY: Final = 24
"""Bytes of the pulse that stay the same while one piece of code runs."""
LEAST_EXTRA: Final = 1.0
"""Seconds, at least, in which code that is over its time can be ended before the process is."""
RETRY: Final = 0.05
"""Seconds between two attempts."""

_MASK_COUNT: Final = 8
"""LUA_MASKCOUNT: the hook is called after a number of instructions."""


class _Pulse(ctypes.Structure):
    """The head of bee_state_t, see lua/engine/state.lua."""

    _fields_ = [
        ("batch", ctypes.c_double),
        ("switches", ctypes.c_double),
        ("i", ctypes.c_int32),
        ("have", ctypes.c_int32),
        ("in_request", ctypes.c_int32),
        ("away", ctypes.c_int32),
    ]


@dataclass(frozen=True)
class Places:
    """Addresses in Lua's memory: its state, the hook, the pulse, where a doomed one is written,
    the id of the running session, the receive buffer.
    """

    lua: int
    hook: int
    pulse: int
    doomed: int
    session: int
    input: int


def hooking(library: str, places: Places) -> Callable[[], object]:
    """What sets Lua's hook for every instruction; ``library`` has LuaJIT's C functions."""
    set_hook = ctypes.CDLL(library).lua_sethook
    set_hook.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_int]
    return partial(set_hook, places.lua, places.hook, _MASK_COUNT, 1)


@dataclass(frozen=True)
class Attempt:
    """Try to end the code."""

    first: bool


@dataclass(frozen=True)
class Death:
    """Nothing helps: end the process."""


@dataclass
class Patience:
    """Decides by how long one piece of code, known by its pulse, has been running."""

    limit: float
    ran: float = 0.0
    _last: float = 0.0
    _pulse: bytes | None = None
    _attempts: int = 0

    @property
    def pause(self) -> float:
        """Seconds until the next look."""
        return RETRY if self._attempts else min(max(self.limit / 20, 0.005), 0.25)

    def look(self, pulse: bytes | None, now: float) -> Attempt | Death | None:
        """What to do about the code with this pulse (None: nothing runs) at ``now``."""
        # A process that was stopped for a while, or had no CPU, has not been running meanwhile.
        passed = min(now - self._last, 2 * self.pause)
        self._last = now
        if pulse is None or pulse != self._pulse:
            self._pulse, self.ran, self._attempts = pulse, 0.0, 0
            return None
        self.ran += passed
        if self.ran < self.limit:
            return None
        if self.ran >= self.limit + max(self.limit, LEAST_EXTRA):
            return Death()
        self._attempts += 1
        return Attempt(first=self._attempts == 1)


@dataclass
class Watchdog:
    """The thread; use it as a context manager around the loop. ``set_hook`` is what :func:`hooking`
    returns.
    """

    places: Places
    set_hook: Callable[[], object]
    limit: float
    table: SessionTable
    die: Callable[[], None] = field(default=lambda: os.kill(os.getpid(), signal.SIGKILL))

    def __post_init__(self) -> None:
        self._pulse = _Pulse.from_address(self.places.pulse)
        self._doomed = (ctypes.c_char * IDENTITY).from_address(self.places.doomed)
        self._session = ctypes.c_double.from_address(self.places.session)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        patience = Patience(self.limit)
        while not self._over.wait(patience.pause):
            pulse = self._look()
            decision = patience.look(pulse, time.monotonic())
            if isinstance(decision, Death):
                self._log().critical("code cannot be ended: this worker ends", **self._facts())
                self.die()
                return
            if isinstance(decision, Attempt) and pulse is not None:
                if decision.first:
                    self._log().error("code runs too long: ending it", **self._facts())
                self._attempt(pulse)

    def _look(self) -> bytes | None:
        """What identifies the running code, None when none runs."""
        if not (self._pulse.in_request or self._pulse.away):
            return None
        return ctypes.string_at(self.places.pulse, IDENTITY)

    def _attempt(self, pulse: bytes) -> None:
        # LuaJIT lets the hook be set at any moment. It is called before the next instruction, and
        # finds out by itself whether the doomed code is still there.
        self._doomed.raw = pulse
        self.set_hook()

    def _log(self) -> Any:
        session = int(self._session.value)
        return logs.get(session=session) if session else logs.get()

    def _facts(self) -> dict[str, Any]:
        facts: dict[str, Any] = {"seconds": f"{self.limit:g}"}
        peer = self.table.peer(int(self._session.value))
        if peer is not None:
            facts["peer"] = peer
        if self._pulse.away:
            facts["request"] = "a fiber"
        else:
            facts["request"] = packets.asked(self._read, self._pulse.i)
        return facts

    def _read(self, at: int, size: int) -> bytes:
        return ctypes.string_at(self.places.input + at, size)
