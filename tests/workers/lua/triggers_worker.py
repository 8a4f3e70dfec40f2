"""The triggers of one worker on a segment; also a process that changes them until it is killed.

As a program: ``NAME NUMBER``. It sets and deletes triggers of one event at random, and says
``running`` once it does.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from shm import layout
from shm.segment import Segment
from tests.helpers.lua import make_runtime

SCRIPT = Path(__file__).with_suffix(".lua")
STEPS = """
local me = ...
math.randomseed(me + 1)
return function()
  for _ = 1, 50 do
    local name = 'name' .. math.random(8)
    if math.random() < 0.3 then
      trigger.delete_named('storm', name)
    else
      trigger.set('storm', f(me .. ':' .. math.random(1000)), name)
    end
  end
end
"""


class Worker:
    """One worker's triggers in this process; ``logged`` are the lines of its log."""

    def __init__(self, segment: Segment, index: int = 0) -> None:
        self.logged: list[str] = []
        services: dict[str, Callable[..., Any]] = {
            "log": lambda level, text, *_: self.logged.append(f"{level.decode()}: {text.decode()}"),
            "log_level": lambda: b"info",
        }
        self.runtime = make_runtime(services)
        facts = "".join(f"{a} {b} {c}\n" for a, b, c in layout.facts()).encode()
        chunk = self.runtime.execute("return assert(loadstring(...))", SCRIPT.read_bytes())
        self.runtime.call(chunk, segment.address, layout.cdef().encode(), facts, index)

    def run(self, source: str, *arguments: Any) -> Any:
        """The result of a chunk; texts are decoded."""
        found = self.runtime.execute(source, *arguments)
        return found.decode() if isinstance(found, bytes) else found

    def ran(self, event: str = "e") -> list[str]:
        """What runs for an event."""
        return str(self.run("return ran(...)", event.encode())).split()

    def names(self, event: str = "e") -> list[str]:
        """Names of the entries of an event."""
        return str(self.run("return names(...)", event.encode())).split()


def main() -> None:
    """Change triggers until killed."""
    segment = Segment.attach(sys.argv[1])
    worker = Worker(segment, int(sys.argv[2]))
    step = worker.runtime.execute(STEPS, int(sys.argv[2]))
    print("running", flush=True)
    while not worker.logged:
        worker.runtime.call(step)
        worker.ran("storm")
    sys.exit(worker.logged[0])


if __name__ == "__main__":
    main()
