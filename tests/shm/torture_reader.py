"""One reader of the torture test, in a process of its own: ``NAME KIND SECONDS``.

Prints right, wrong and missing reads as JSON. ``lua`` reads as a worker does, ``python`` as the
supervisor and the tools do.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from shm import layout
from shm.segment import Segment
from shm.sessions import SessionTable
from workers.runtime import Runtime

BATCH = 20_000
SCRIPT = Path(__file__).with_suffix(".lua")


def read_with_lua(segment: Segment, until: float) -> list[int]:
    """Counts of the engine's own view."""
    lua = Runtime({})
    view = lua.require("beespace.engine.table")
    facts = "".join(f"{record} {field} {offset}\n" for record, field, offset in layout.facts())
    lua.call(view[b"declare"], layout.cdef().encode(), facts.encode())
    lua.call(view[b"attach"], segment.address, 0)
    program = lua.execute("return assert(loadstring(...))", SCRIPT.read_bytes())
    counts = [0, 0, 0]
    while time.monotonic() < until:
        right, wrong, missing, example = lua.call(program, view, BATCH)
        counts = [old + new for old, new in zip(counts, (right, wrong, missing), strict=True)]
        if wrong:
            print(f"torn: {example!r}", file=sys.stderr)
    return counts


def read_with_python(segment: Segment, until: float) -> list[int]:
    """Counts of SessionTable."""
    table = SessionTable(segment)
    counts = [0, 0, 0]
    turn = 0
    while time.monotonic() < until:
        turn += 1
        session = int(segment.header.last_id) - turn % 4
        peer = table.peer(session)
        counts[2 if peer is None else 0 if peer == f"{session};" * 8 else 1] += 1
    table.close()
    return counts


def main() -> None:
    """Read until the time is over and print the counts."""
    name, kind, seconds = sys.argv[1:]
    segment = Segment.attach(name)
    print("reading", flush=True)
    reader = read_with_lua if kind == "lua" else read_with_python
    print(json.dumps(reader(segment, time.monotonic() + float(seconds))))


if __name__ == "__main__":
    main()
