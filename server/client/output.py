"""The standard output: whole and at once, so that nothing is left for the end of the process.

Answers go here, from :mod:`server.client.script` and :mod:`server.client.repl`.
"""

from __future__ import annotations

import os
import select
import sys
from typing import Final

from server.errors import ExitStatus, ServerError

_PIECE: Final = 1 << 14


def write(data: bytes) -> None:
    """Write it all; what an interrupt leaves is dropped. ServerError when it cannot be written."""
    if sys.stdout is None:
        raise ServerError("there is no standard output", exit_code=ExitStatus.FAILED)
    number = sys.stdout.fileno()
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(number, rest[:_PIECE]) :]
        except BlockingIOError:
            select.select([], [number], [])
        except BrokenPipeError:
            raise
        except OSError as error:
            raise ServerError(
                f"cannot write to the standard output: {error.strerror}",
                exit_code=ExitStatus.FAILED,
            ) from None
