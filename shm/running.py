"""What code a worker runs, seen from beside its Lua loop or from another process.

    workers/lua/engine/state.lua   keeps the pulse, the id of the running session and the receive
      |                            buffer; that costs a request nothing
      | addresses (Sight)          the worker tells the supervisor with its "ready"
      v
    look()                         finds out

:mod:`workers.watchdog` looks at its own memory, :mod:`server.vigil` at that of a worker, which may
hang or be stopped.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from shm import packets

_PAGE: Final = 4096

Read = Callable[[int, int], bytes]
"""Bytes of a worker's memory, by address and number; OSError when they are not to be had."""


class Pulse(ctypes.Structure):
    """The head of bee_state_t, see workers/lua/engine/state.lua."""

    _fields_ = [
        ("batch", ctypes.c_double),
        ("switches", ctypes.c_double),
        ("i", ctypes.c_int32),
        ("have", ctypes.c_int32),
        ("in_request", ctypes.c_int32),
        ("away", ctypes.c_int32),
    ]


class Statement(ctypes.Structure):
    """bee_statement_t, see workers/lua/engine/state.lua."""

    _fields_ = [("id", ctypes.c_double), ("text", ctypes.c_char * 64)]


IDENTITY: Final = 24
"""Bytes of the pulse that stay the same while one piece of code runs."""
STATEMENTS: Final = 16
"""How many a worker keeps; that of session ``id`` has the place ``id % STATEMENTS``."""


@dataclass(frozen=True)
class Sight:
    """Addresses in a worker: its pulse, the id of the running session, its receive buffer, the
    statements of its consoles.
    """

    pulse: int
    session: int
    input: int
    executed: int


@dataclass(frozen=True)
class Running:
    """The session whose code runs, 0 for none, and what was asked for, in words."""

    session: int
    request: str


def look(read: Read, sight: Sight) -> Running | None:
    """What runs now, None when nothing does; OSError when the memory cannot be read."""
    pulse = Pulse.from_buffer_copy(read(sight.pulse, ctypes.sizeof(Pulse)))
    if not (pulse.in_request or pulse.away):
        return None
    id_ = ctypes.c_double.from_buffer_copy(read(sight.session, ctypes.sizeof(ctypes.c_double)))
    if pulse.away:
        return Running(int(id_.value), _executed(read, sight, int(id_.value)) or "a fiber")
    asked = packets.asked(lambda at, size: read(sight.input + at, size), pulse.i)
    return Running(int(id_.value), asked)


def _executed(read: Read, sight: Sight, session: int) -> str | None:
    """The statement that a console's session executes."""
    size = ctypes.sizeof(Statement)
    place = sight.executed + session % STATEMENTS * size
    statement = Statement.from_buffer_copy(read(place, size))
    if not session or int(statement.id) != session:
        return None
    return packets.discreet(f"console: {statement.text.decode('utf-8', 'replace')}")


def own_code(sight: Sight) -> tuple[bytes, int]:
    """What identifies the code that runs in this process, and its session; 0: none, or unclear."""
    before = ctypes.string_at(sight.pulse, IDENTITY)
    pulse = Pulse.from_address(sight.pulse)
    runs = pulse.in_request or pulse.away
    session = int(ctypes.c_double.from_address(sight.session).value) if runs else 0
    # Other code may have begun in between.
    return before, session if ctypes.string_at(sight.pulse, IDENTITY) == before else 0


def own_memory(at: int, size: int) -> bytes:
    """Memory of this process."""
    return ctypes.string_at(at, size)


@contextlib.contextmanager
def memory_of(pid: int) -> Iterator[Read]:
    """Memory of a child, in pages that are read once; OSError when the system does not allow it.

    It works as long as the child is not gone, whatever state it is in.
    """
    fd = os.open(f"/proc/{pid}/mem", os.O_RDONLY | os.O_CLOEXEC)
    try:

        @lru_cache(maxsize=64)
        def page(number: int) -> bytes:
            return os.pread(fd, _PAGE, number * _PAGE)

        def read(at: int, size: int) -> bytes:
            first, offset = divmod(at, _PAGE)
            last = (at + size - 1) // _PAGE
            data = b"".join(page(number) for number in range(first, last + 1))
            return data[offset : offset + size]

        yield read
    finally:
        os.close(fd)
