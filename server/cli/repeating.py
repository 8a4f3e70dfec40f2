"""Showing something once, or again and again until Ctrl-C.

    frame() --> lines --> the screen, cleared before; or, into a file or a pipe, one below the other

The commands that look at a server from outside are the callers. Signals end the process, as
:mod:`server.cli` has arranged.
"""

from __future__ import annotations

import math
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from server.errors import ExitStatus, ServerError

_CLEAR: Final = "\x1b[H\x1b[J"


def seconds(least: float, option: str = "--interval") -> Callable[[str], float]:
    """Reader of an option: a number of seconds from ``least`` on, or a ServerError."""

    def read(text: str) -> float:
        try:
            found = float(text)
        except ValueError:
            found = math.nan
        if not least <= found < math.inf:
            raise ServerError(
                f"{option}: got {text!r}, expected a number of seconds from {least:g} on",
                exit_code=ExitStatus.SETTINGS,
            )
        return found

    return read


def end_with_reader() -> None:
    """Let this process end without a word when who reads its output has gone, like head."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)


def once(lines: Iterable[str]) -> None:
    """Print the lines."""
    for line in lines:
        print(line)


def again(frame: Callable[[], Sequence[str]], interval: float) -> None:
    """Print what ``frame`` gives every ``interval`` seconds; ends with the process only.

    On a terminal a frame takes the screen, and what does not fit is cut.
    """
    while True:
        lines = frame()
        if sys.stdout.isatty():
            columns, rows = shutil.get_terminal_size()
            shown = "\r\n".join(line[:columns] for line in lines[: max(rows - 1, 1)])
            sys.stdout.write(f"{_CLEAR}{shown}\r\n")
        else:
            sys.stdout.write("".join(f"{line}\n" for line in lines))
        sys.stdout.flush()
        time.sleep(interval)
