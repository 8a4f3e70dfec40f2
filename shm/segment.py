"""The mapped segment: made by the supervisor, attached by everybody else.

The supervisor makes it with ``multiprocess.shared_memory``, so a supervisor that is killed leaves
no segment behind (the resource tracker removes it). Everybody else maps the file plainly: a process
that attached through ``SharedMemory`` would make its own tracker unlink the segment when it ends.

The memory is reserved at creation with ``posix_fallocate``: a full /dev/shm is an error at start,
not a SIGBUS in a worker. x86-64 stores become visible in program order, and the readers rely on it.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import platform
import secrets
import time
import uuid
from pathlib import Path
from typing import Any, Final

from shm import layout, locks, regions
from shm.launch import only_installed_modules
from shm.regions import Regions
from shm.spawning import SharedMemory, resource_tracker

SHM_DIR: Final = Path("/dev/shm")
EVENTS: Final = 1 << 20
"""Bytes of events where nobody says how many."""
TESTED_MACHINES: Final = frozenset({"x86_64", "AMD64"})


class SegmentError(Exception):
    """The segment cannot be made or does not fit; the text says why, for a person."""


class Segment:
    """One mapped segment with ctypes views of its parts.

    ``header`` is one structure, ``rows`` an array of MAX_WORKERS, ``slots`` one of ``capacity``,
    ``orders`` one of as many, ``failures`` one of FAILURES, ``ends`` one of all rings of the
    history.
    """

    def __init__(
        self, name: str, memory: mmap.mmap | memoryview, owner: SharedMemory | None
    ) -> None:
        self.name = name
        self._memory = memory
        self._owner = owner
        self.header: Any = layout.Header.from_buffer(memory)
        self.capacity = int(self.header.capacity)
        self.rows: Any = (layout.Row * layout.MAX_WORKERS).from_buffer(memory, regions.ROWS)
        self.slots: Any = (layout.Slot * self.capacity).from_buffer(memory, regions.SLOTS)
        self.orders: Any = (layout.Order * self.capacity).from_buffer(
            memory, int(self.header.orders_offset)
        )
        self.failures: Any = (layout.Failure * int(self.header.failures)).from_buffer(
            memory, int(self.header.failures_offset)
        )

        rings = int(self.header.workers) + 1
        self.ends: Any = (layout.End * (int(self.header.history) * rings)).from_buffer(
            memory, int(self.header.history_offset)
        )

    @classmethod
    def create(
        cls, name: str, capacity: int, workers: int, events: int = EVENTS, spare: int = 0
    ) -> Segment:
        """Make a segment of ``capacity`` slots and ``events`` bytes of events.

        The first ``workers`` rows are on duty, ``spare`` ones behind them are free. SegmentError
        when /dev/shm has no room for it.
        """
        refuse_untested_machine()
        parts = Regions(capacity, events, workers + spare)
        size = parts.size
        owner = _reserve(name, size)
        header = layout.Header.from_buffer(owner.buf)
        header.size = size
        header.capacity = capacity
        header.workers = workers + spare
        header.serving = workers
        header.rows_offset = regions.ROWS
        header.slots_offset = regions.SLOTS
        header.events_offset = parts.events
        header.events_size = events
        header.control_listener = header.own_console = layout.NO_LISTENER
        header.triggers_offset = parts.triggers
        header.triggers_size = layout.TRIGGERS_BYTES
        header.failures_offset = parts.failures
        header.failures = layout.FAILURES
        header.tallies_offset = parts.tallies
        header.tallies = parts.tally_count
        header.orders_offset = parts.orders
        header.history_offset = parts.history
        header.history = layout.HISTORY
        header.started = time.time()
        header.supervisor_pid = os.getpid()
        header.boot_id[:] = secrets.token_bytes(16)
        header.instance[:] = uuid.uuid4().bytes
        header.layout_hash = layout.layout_hash()
        header.magic = layout.MAGIC
        del header
        made = cls(name, owner.buf, owner)
        for number in range(workers):
            made.rows[number].number = number
            made.rows[number].on_duty = 1
        made.renew_catalog()
        locks.prepare(
            made.header.event_lock,
            made.header.trigger_lock,
            made.header.failure_lock,
            made.header.tally_lock,
            *(row.inbox_lock for row in made.rows),
        )
        return made

    @classmethod
    def attach(cls, name: str) -> Segment:
        """Map an existing segment for reading and writing; SegmentError when it is not ours."""
        return cls._mapped(name, os.O_RDWR, mmap.ACCESS_WRITE)

    @classmethod
    def look(cls, name: str) -> Segment:
        """Map an existing segment for who only reads; SegmentError when it is not ours.

        It shows what the server writes. What is written into it stays in this process.
        """
        return cls._mapped(name, os.O_RDONLY, mmap.ACCESS_COPY)

    @classmethod
    def _mapped(cls, name: str, mode: int, access: int) -> Segment:
        try:
            fd = os.open(SHM_DIR / name, mode | os.O_CLOEXEC)
        except OSError as error:
            raise SegmentError(f"segment {name}: {error.strerror}") from error
        try:
            size = os.fstat(fd).st_size
            if size < regions.LEAST.size:
                raise SegmentError(f"segment {name}: {size} bytes is too small")
            memory = mmap.mmap(fd, size, access=access)
        finally:
            os.close(fd)
        header = layout.Header.from_buffer(memory)
        fits = (header.magic, header.layout_hash, header.size)
        del header
        if fits != (layout.MAGIC, layout.layout_hash(), size):
            memory.close()
            raise SegmentError(f"segment {name}: made by another version of beespace")
        return cls(name, memory, None)

    def renew_catalog(self) -> None:
        """Tell every worker that the catalog may have changed; never 0.

        Call it after the change. A worker stamps what it loads with the number that it read before,
        so with random numbers it misses no change, whoever stores when.
        """
        self.header.catalog_generation = float(1 + secrets.randbelow(2**53 - 1))

    @property
    def consoles(self) -> range:
        """Indexes of the listeners whose clients get a console."""
        first = int(self.header.first_console)
        return range(first, first + int(self.header.consoles))

    @property
    def own_listeners(self) -> frozenset[int]:
        """Indexes of the run directory's sockets: for this user only, with slots in reserve."""
        header = self.header
        own = {int(header.control_listener), int(header.own_console)}
        return frozenset(own - {layout.NO_LISTENER})

    @property
    def address(self) -> int:
        """Address of the first byte in this process, for LuaJIT."""
        return ctypes.addressof(self.header)

    @property
    def memory(self) -> mmap.mmap | memoryview:
        """The raw bytes, for the table's packed stores."""
        return self._memory

    def close(self) -> None:
        """Drop the views and the mapping; the maker also removes the segment.

        Whoever still holds a view of it gets a BufferError; the segment is removed all the same.
        """
        del self.header, self.rows, self.slots, self.orders, self.failures, self.ends
        memory, self._memory = self._memory, memoryview(b"")
        if self._owner is not None:
            self._owner.unlink()
            self._owner.close()
        elif isinstance(memory, mmap.mmap):
            memory.close()


def refuse_untested_machine() -> None:
    """SegmentError on a machine whose store order the readers were not tested on."""
    machine = platform.machine()
    if machine not in TESTED_MACHINES:
        raise SegmentError(f"machine {machine} is not supported: the session table needs x86-64")


def _reserve(name: str, size: int) -> SharedMemory:
    """A new shared memory of ``size`` bytes, every page of it really there."""
    with only_installed_modules():
        resource_tracker.ensure_running()
    try:
        owner = SharedMemory(name=name, create=True, size=size)
    except OSError as error:
        raise SegmentError(f"segment {name}: {error.strerror}") from error
    fd = os.open(SHM_DIR / name, os.O_RDWR | os.O_CLOEXEC)
    try:
        os.posix_fallocate(fd, 0, size)
    except OSError as error:
        owner.close()
        owner.unlink()
        raise SegmentError(
            f"{SHM_DIR} has no room for the {size} bytes of session table, events and failures: "
            f"{error.strerror}"
        ) from error
    finally:
        os.close(fd)
    return owner
