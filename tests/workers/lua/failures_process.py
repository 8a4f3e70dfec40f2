"""A process that fails to log in again and again: ``NAME COUNT DELAY RETRIES [USER]``.

It waits for a line, makes its attempts, and prints how many were found wrong and how many refused.
Without a user it takes a new made-up name for every attempt.
"""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Any

from shm import layout
from shm.segment import Segment
from workers import bridge
from workers.runtime import LuaFailureError, Runtime

PROGRAM = """
local address, cdef, facts = ...
local shared = require('beespace.engine.table')
shared.declare(cdef, facts)
shared.attach(address, 0)
local failures = require('beespace.engine.failures')
failures.attach()
return failures
"""


def attached(segment: Segment) -> tuple[Runtime, Any]:
    """A runtime, and engine/failures in it."""
    runtime = Runtime(bridge.make_services(bridge.Context(version="1.2.3")))
    facts = "".join(f"{record} {field} {offset}\n" for record, field, offset in layout.facts())
    chunk = runtime.execute("return assert(loadstring(...))", PROGRAM.encode())
    return runtime, runtime.call(chunk, segment.address, layout.cdef().encode(), facts.encode())


def attempt(runtime: Runtime, failures: Any, *arguments: Any) -> Any:
    """An attempt, also when a process that holds the lock was stalled for a while."""
    for _ in range(10):
        with contextlib.suppress(LuaFailureError):
            return runtime.call(failures[b"attempt"], *arguments)
    return runtime.call(failures[b"attempt"], *arguments)


def main() -> None:
    """Obey the order."""
    name, count, delay, retries, *user = sys.argv[1:]
    segment = Segment.attach(name)
    runtime, failures = attached(segment)
    failures[b"delay"], failures[b"retries"] = float(delay), int(retries)
    print("ready", flush=True)
    sys.stdin.readline()
    found = [0, 0, 0]
    for number in range(int(count)):
        who = user[0] if user else f"{os.getpid()}-{number}"
        answer = attempt(runtime, failures, who.encode(), bool(user), b"10.0.0.1", False)
        found[int(answer if isinstance(answer, float | int) else answer[0]) - 1] += 1
    print(*found[1:], flush=True)


if __name__ == "__main__":
    main()
