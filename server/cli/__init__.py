"""The command ``beespace``. Here is only its first moment; the rest is in ``command.py``.

Importing the command takes a good part of a second. A signal in that time finds nothing started, so
the process just ends, as well as a stopped server does. The supervisor's loop takes the signals
over, and they come back here when everything is given back. The arguments of a client, which may
have a password among them, leave the list of processes at once; it shows the harmless ones later.
"""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType
from typing import NoReturn


def main() -> NoReturn:
    """Run the command and exit with its code."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _leave)
    if sys.argv[1:2] == ["connect"] and any(":" in one for one in sys.argv):
        import setproctitle

        setproctitle.setproctitle("beespace connect")
    from server.cli.command import run

    run()


def _leave(_number: int, _frame: FrameType | None) -> None:
    os._exit(0)
