"""One reader of the torture test, in a process of its own: ``NAME KIND SECONDS RIGHT SESSIONS``.

Prints right, wrong and missing reads as JSON, after so many seconds and not before it has read so
many right ones while there were so many new sessions. ``lua`` reads as a worker does, ``python`` as
the supervisor and the tools do.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from shm import layout
from shm.segment import Segment
from shm.sessions import SessionTable
from tests.helpers.torture import rounds
from workers.runtime import Runtime

BATCH = 20_000
SCRIPT = Path(__file__).with_suffix(".lua")
Course = Callable[[list[int]], Iterator[None]]
"""Turns of a reader, which counts its reads in the list, until there were enough."""


def read_with_lua(segment: Segment, course: Course) -> list[int]:
    """Counts of the engine's own view."""
    lua = Runtime({})
    view = lua.require("beespace.engine.table")
    facts = "".join(f"{record} {field} {offset}\n" for record, field, offset in layout.facts())
    lua.call(view[b"declare"], layout.cdef().encode(), facts.encode())
    lua.call(view[b"attach"], segment.address, 0)
    program = lua.execute("return assert(loadstring(...))", SCRIPT.read_bytes())
    counts = [0, 0, 0]
    for _ in course(counts):
        right, wrong, missing, example = lua.call(program, view, BATCH)
        counts[:] = [old + new for old, new in zip(counts, (right, wrong, missing), strict=True)]
        if wrong:
            print(f"torn: {example!r}", file=sys.stderr)
    return counts


def read_with_python(segment: Segment, course: Course) -> list[int]:
    """Counts of SessionTable."""
    table = SessionTable(segment)
    counts = [0, 0, 0]
    for turn, _ in enumerate(course(counts), 1):
        session = int(segment.header.last_id) - turn % 4
        peer = table.peer(session)
        counts[2 if peer is None else 0 if peer == f"{session};" * 8 else 1] += 1
    table.close()
    return counts


def main() -> None:
    """Read until the time is over and print the counts."""
    name, kind, seconds, *least = sys.argv[1:]
    segment = Segment.attach(name)
    right, sessions = map(int, least)
    last = int(segment.header.last_id) + sessions

    def course(counts: list[int]) -> Iterator[None]:
        return rounds(
            float(seconds), lambda: counts[0] >= right and int(segment.header.last_id) >= last
        )

    print("reading", flush=True)
    reader = read_with_lua if kind == "lua" else read_with_python
    print(json.dumps(reader(segment, course)))


if __name__ == "__main__":
    main()
