"""A process that takes a lock of a segment: ``NAME ORDER LOCK``, where the order is hold or count.

``hold`` takes the lock (a field of the header), says so and waits for its end. ``count`` adds to a
plain number in the segment under the lock until it is killed.
"""

from __future__ import annotations

import sys
import threading

from shm import layout
from shm.segment import Segment
from workers.runtime import Runtime

PROGRAM = """
local locks = require('beespace.engine.locks')
local lock, counter = ...
local ffi = require('ffi')
lock = ffi.cast('void *', lock)
counter = ffi.cast('volatile uint64_t *', counter)
return function() locks.lock(lock, 'test') end,
  function()
    locks.lock(lock, 'test')
    counter[0] = counter[0] + 1
    locks.unlock(lock)
  end
"""


def functions(segment: Segment, name: str) -> tuple[Runtime, tuple[object, object]]:
    """A runtime, with what takes the lock and what counts under it."""
    runtime = Runtime({})
    lock = segment.address + getattr(layout.Header, name).offset
    counter = segment.address + layout.Header.event_generation.offset
    chunk = runtime.execute("return assert(loadstring(...))", PROGRAM.encode())
    take, count = runtime.call(chunk, lock, counter)
    return runtime, (take, count)


def main() -> None:
    """Obey the order."""
    segment = Segment.attach(sys.argv[1])
    runtime, (take, count) = functions(segment, sys.argv[3])
    if sys.argv[2] == "hold":
        runtime.call(take)
        print("held", flush=True)
        threading.Event().wait()
    print("counting", flush=True)
    while True:
        runtime.call(count)


if __name__ == "__main__":
    main()
