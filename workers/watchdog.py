"""Ends Lua code that runs too long, takes too much memory, or is not wanted any more: a thread
beside the Lua loop.

:mod:`workers.process` starts it for ``limits.request_time``, ``lua.memory``, and for the orders of
:mod:`shm.orders`, which :mod:`workers.enforcer` looks after. While Lua runs,
Python's other threads run too, so this one can look at the loop's pulse, some numbers at the head
of its state that change with each request and each time a fiber goes on, and at the size of Lua's
heap. :mod:`workers.patience` decides what to do.

    the same pulse for limits.request_time   say which session and function, and set Lua's hook: it
                                             raises an error in the code, see
                                             lua/engine/interrupt.lua
    it still runs                            again
    twice the time is over                   compiled code that never comes back to the interpreter,
                                             or a C function that does not return: say so and end
                                             the process; the supervisor starts another one
    the heap is over lua.memory              set the hook: it collects garbage, and when that does
                                             not help raises an error in the code that runs
    its request is cancelled, its session    set the hook: it raises an error in that code
    is to end
"""

from __future__ import annotations

import ctypes
import math
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Protocol, Self

from shm import logs, running
from shm.launch import ExitCode
from shm.running import IDENTITY, Pulse, Sight
from shm.sessions import SessionTable
from workers.enforcer import Enforcer
from workers.patience import Appetite, Attempt, Death, Patience
from workers.slow import Slow

TIME: Final = 1
MEMORY: Final = 2
CANCELLED: Final = 3
KILLED: Final = 4

_MASK_COUNT: Final = 8
"""LUA_MASKCOUNT: the hook is called after a number of instructions."""
_GC_RESTART: Final = 1
_GC_COUNT: Final = 3
_GC_SET_STEP_MULTIPLIER: Final = 7


_UNWANTED: Final = (
    "code runs whose request is cancelled: ending it",
    "code runs whose session is to end: ending it",
)


class Doom(ctypes.Structure):
    """bee_doom_t, see lua/engine/interrupt.lua."""

    _fields_ = [
        ("pulse", ctypes.c_uint8 * IDENTITY),
        ("session", ctypes.c_double),
        ("reason", ctypes.c_int32),
        ("pace", ctypes.c_int32),
        ("blamed", ctypes.c_int32),
    ]


@dataclass(frozen=True)
class Places:
    """Addresses in Lua's memory: its state, the hook, the pulse, the doom, the id of the running
    session, the receive buffer, the statements of consoles.
    """

    lua: int
    hook: int
    pulse: int
    doom: int
    session: int
    input: int
    executed: int

    @property
    def sight(self) -> Sight:
        """Where it shows what code runs."""
        return Sight(self.pulse, self.session, self.input, self.executed)


@dataclass(frozen=True)
class Limits:
    """How long code may run, seconds, and the bytes that Lua's heap may have; 0 for no limit."""

    time: float = 0.0
    memory: int = 0


class Interpreter(Protocol):
    """What the watchdog asks of Lua while Lua runs."""

    def heap(self) -> int:
        """Bytes in use."""

    def interrupt(self) -> None:
        """Have the hook called."""


class LuaJit:
    """Lua's C interface, as far as it may be used from another thread: it reads or writes single
    numbers, or is made for signal handlers. ``library`` is the file that has it.
    """

    def __init__(self, library: str, places: Places) -> None:
        lua = ctypes.CDLL(library)
        self._collector = lua.lua_gc
        self._collector.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_int]
        self._set_hook = lua.lua_sethook
        self._set_hook.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_int]
        self._places = places
        self._doom = Doom.from_address(places.doom)

    def heap(self) -> int:
        """Bytes in use."""
        return int(self._collector(self._places.lua, _GC_COUNT, 0)) * 1024

    def interrupt(self) -> None:
        """Have the hook called."""
        # It is before the next instruction that is interpreted. A compiled loop that
        # makes objects comes back to the interpreter at a certain point of a collection: one begins
        # now, and takes all its steps at once.
        pace = self._collector(self._places.lua, _GC_SET_STEP_MULTIPLIER, 0)
        self._doom.pace = pace or self._doom.pace
        self._collector(self._places.lua, _GC_RESTART, 0)
        self._set_hook(self._places.lua, self._places.hook, _MASK_COUNT, 1)


@dataclass
class Watchdog:
    """The thread; use it as a context manager around the loop."""

    lua: Interpreter
    places: Places
    limits: Limits
    table: SessionTable
    enforcer: Enforcer
    die: Callable[[], None] = field(default=lambda: os._exit(ExitCode.RUNAWAY))
    slow: Slow | None = None
    """Who looks for slow requests meanwhile."""

    def __post_init__(self) -> None:
        self._pulse = Pulse.from_address(self.places.pulse)
        self._doom = Doom.from_address(self.places.doom)
        self._patience = Patience(self.limits.time or math.inf)
        self._appetite = Appetite(self.limits.memory or math.inf)
        self._unwanted = b""
        self._suspect: tuple[Any, dict[str, Any]] | None = None
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

    def limit(self, limits: Limits) -> None:
        """Other limits from now on."""
        self._patience.limit = limits.time or math.inf
        self._appetite.limit = limits.memory or math.inf

    @property
    def _pause(self) -> float:
        slow = math.inf if self.slow is None else self.slow.pause
        return min(self._patience.pause, self._appetite.pause, self.enforcer.pause, slow)

    def _watch(self) -> None:
        blamed = 0
        while not self._over.wait(self._pause):
            now, pulse = time.monotonic(), self._look()
            self._care_for_orders(now)
            if self.slow is not None:
                self.slow.look(now)
            if self._doom.blamed != blamed:
                blamed = self._doom.blamed
                self._blame()
            if self._care_for_memory(pulse, now) or self._care_for_time(pulse, now):
                self.die()
                return

    def _care_for_orders(self, now: float) -> None:
        aim = self.enforcer.look(now)
        if aim is None:
            return
        if aim.pulse != self._unwanted:
            self._unwanted = aim.pulse
            log, facts = self._facts()
            log.warning(_UNWANTED[aim.killed], **facts)
        self._doom.session = aim.session
        self._attempt(aim.pulse, KILLED if aim.killed else CANCELLED)

    def _care_for_time(self, pulse: bytes | None, now: float) -> bool:
        """True when the process must end."""
        decision = self._patience.look(pulse, now)
        if isinstance(decision, Attempt) and pulse is not None:
            if decision.first:
                log, facts = self._facts()
                log.error("code runs too long: ending it", **facts)
            self._attempt(pulse, TIME)
        elif isinstance(decision, Death):
            log, facts = self._facts()
            log.critical("code cannot be ended: this worker ends", **facts)
        return isinstance(decision, Death)

    def _care_for_memory(self, pulse: bytes | None, now: float) -> bool:
        """True when the process must end."""
        decision = self._appetite.look(self.lua.heap(), pulse, now)
        if isinstance(decision, Attempt) and pulse is not None:
            if decision.first:
                self._suspect = self._facts()
            self._attempt(pulse, MEMORY)
        elif isinstance(decision, Death):
            logs.get().critical("memory cannot be brought under lua.memory: this worker ends")
        return isinstance(decision, Death)

    def _blame(self) -> None:
        """The hook has found that the suspect has to end."""
        log, facts = self._suspect or (logs.get(), {})
        log.error("code takes too much memory: ending it", **facts)

    def _look(self) -> bytes | None:
        """What identifies the running code, None when none runs."""
        if not (self._pulse.in_request or self._pulse.away):
            return None
        return ctypes.string_at(self.places.pulse, IDENTITY)

    def _attempt(self, pulse: bytes, reason: int) -> None:
        # The hook finds out by itself whether the doomed code is still there.
        self._doom.reason = reason
        ctypes.memmove(self._doom.pulse, pulse, IDENTITY)
        self.lua.interrupt()

    def _facts(self) -> tuple[Any, dict[str, Any]]:
        """A logger, and fields for it, that say whose code runs."""
        found = running.look(running.own_memory, self.places.sight)
        if found is None:
            return logs.get(), {}
        peer = self.table.peer(found.session)
        facts = {} if peer is None else {"peer": peer}
        facts["request"] = found.request
        return (logs.get(session=found.session) if found.session else logs.get()), facts
