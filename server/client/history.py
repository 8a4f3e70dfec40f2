"""The lines typed before, in a private file of the user's state directory.

A statement that begins with a space is not written down. When the file cannot be used, lines are
kept for this run only.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Final

import platformdirs
from prompt_toolkit.history import FileHistory, History, InMemoryHistory

from server import places

FILE: Final = "history"
_FOLDER: Final = f"{places.APP_NAME}-client"


def default_path() -> Path:
    """Where the file is; beside the folder of the servers, whose names are anything."""
    return platformdirs.user_state_path(_FOLDER) / FILE


def open_history(path: Path) -> History:
    """The history in a file that only this user may read."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        number = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        os.fchmod(number, 0o600)
        os.close(number)
    except OSError:
        return InMemoryHistory()
    return _PrivateHistory(str(path))


class _PrivateHistory(FileHistory):
    def store_string(self, string: str) -> None:
        """Write a line down, unless it is not to be."""
        if not string.startswith(" "):
            with contextlib.suppress(OSError):
                super().store_string(string)
