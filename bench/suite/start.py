"""How long a server takes from its command to its first answer, for a reload, and to stop."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from bench.outcome import Outcome, Promise
from bench.session import Endpoint
from bench.stats import median, spread
from bench.suite.context import OWN, Context
from bench.table import Table
from bench.targets import CHECKOUT, TargetError

START_SECONDS: Final = 1.5
"""From the command to the first answer, with two workers."""


def run(context: Context) -> Outcome:
    """New servers, one after the other."""
    found: dict[str, list[float]] = {}
    for turn in context.plan().turns():
        for name in context.started:
            context.progress(f"{name}  round {turn}")
            begun = time.monotonic()
            with context.kind(name).start() as endpoint:
                _note(found, f"{name}: start", time.monotonic() - begun)
                if name.partition(":")[0] == OWN:
                    _note(found, f"{name}: reload", _reload(endpoint))
                begun = time.monotonic()
            _note(found, f"{name}: stop", time.monotonic() - begun)
    rows = [
        (what, f"{median(times):.3f}", f"{spread(times):.0%}", f"{max(times):.3f}")
        for what, times in found.items()
    ]
    start = median(found[f"{context.subject}: start"])
    return Outcome(
        [Table("Start, reload, stop", ("what", "seconds", "spread", "longest"), tuple(rows), 1)],
        [Promise(f"{context.subject}: start", START_SECONDS, start, "s", at_least=False)],
        figures={"times": found},
    )


def _note(found: dict[str, list[float]], what: str, seconds: float) -> None:
    found.setdefault(what, []).append(seconds)


def _reload(endpoint: Endpoint) -> float:
    """Seconds of ``beespace reload``, which waits until the new workers have taken over."""
    assert endpoint.console is not None
    folder = str(Path(endpoint.console.path or "").parent)
    command = [sys.executable, "-m", "server", "reload", "--run-dir", folder]
    begun = time.monotonic()
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise TargetError(f"reload of {endpoint.name!r}: {done.stderr.strip()}")
    return time.monotonic() - begun
