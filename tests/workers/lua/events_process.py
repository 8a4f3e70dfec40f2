"""A process of the events torture test: ``NAME NUMBER``, puts its own keys and reads everybody's.

It runs events_process.lua until it is killed, and ends with the text of the first wrong value.
"""

from __future__ import annotations

import sys
from pathlib import Path

from shm import layout
from shm.segment import Segment
from workers.runtime import LuaFailureError, Runtime

SCRIPT = Path(__file__).with_suffix(".lua")


def complain(_level: bytes, text: bytes) -> None:
    """A listener of the events failed."""
    print(text.decode(), file=sys.stderr, flush=True)


def main() -> None:
    """Run until killed; end with 1 at the first wrong value."""
    name, number = sys.argv[1:]
    segment = Segment.attach(name)
    runtime = Runtime({"log": complain})
    facts = "".join(f"{record} {field} {offset}\n" for record, field, offset in layout.facts())
    chunk = runtime.execute("return assert(loadstring(...))", SCRIPT.read_bytes())
    try:
        step = runtime.call(
            chunk, segment.address, layout.cdef().encode(), facts.encode(), int(number)
        )
        print("running", flush=True)
        while True:
            runtime.call(step)
    except LuaFailureError as error:
        sys.exit(str(error)[:500])


if __name__ == "__main__":
    main()
