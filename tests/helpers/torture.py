"""Processes that work until they are killed, for the torture tests.

A module that runs as such a process prints "running" once it has begun; what it writes to its
standard error are complaints. A test kills it in the midst of its work and starts it anew.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Final

from tests.rules.sources import ROOT

LONGEST: Final = 30.0
"""Seconds that a test goes on when its machine is too slow for what it wants to have seen."""


def rounds(seconds: float, enough: Callable[[], bool]) -> Iterator[None]:
    """Again and again for so many seconds, and on until it is ``enough``."""
    began = time.monotonic()
    while (lasted := time.monotonic() - began) < seconds or (lasted < LONGEST and not enough()):
        yield


def start(module: str, *words: object) -> subprocess.Popen[str]:
    """A process that runs a module of the tests with these arguments."""
    command = [sys.executable, "-m", module, *map(str, words)]
    return subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def wait_until_running(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline() == "running\n", process.stderr.read()


def kill(process: subprocess.Popen[str]) -> str:
    """End a process; what it had to complain of."""
    process.kill()
    return process.communicate(timeout=10)[1]
