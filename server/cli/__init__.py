"""The command ``beespace``. Here is only its first moment; the rest is in ``command.py``.

Importing the command takes a good part of a second. A signal in that time finds nothing started, so
the process just ends, as well as a stopped server does. The supervisor's loop takes the signals
over, and they come back here when everything is given back.
"""

from __future__ import annotations

import os
import signal
from types import FrameType
from typing import NoReturn


def main() -> NoReturn:
    """Run the command and exit with its code."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _leave)
    from server.cli.command import run

    run()


def _leave(_number: int, _frame: FrameType | None) -> None:
    os._exit(0)
