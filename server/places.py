"""What a server and its own clients agree on without being told: names, and where things are.

:mod:`server.settings` takes the defaults from here, :mod:`server.client` and :mod:`server.cli` find
the server with them. Light on purpose: a client that starts quickly cannot read a server's settings
first.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Final

import platformdirs

APP_NAME: Final = "beespace"
DEFAULT_NAME: Final = "default"
STATE_FILE: Final = "server.json"
"""In the run directory: what a server has opened; ``consoles`` are URIs."""
CONSOLE_FILE: Final = "console.sock"
"""The console's socket in the run directory, unless the settings name others."""
COMMAND_FILE: Final = "supervisor.sock"
"""In the run directory: where the supervisor takes commands, see server.desk."""
PASSWORD_VARIABLE: Final = "BEESPACE_PASSWORD"
"""Read by the client; a server that finds it in its environment leaves it alone."""


def run_dir(name: str) -> Path:
    """The user's run directory of the server with this name; OSError when there is no place."""
    with warnings.catch_warnings():
        # Without XDG_RUNTIME_DIR platformdirs takes a folder of the user's under /tmp, and says
        # so in a warning; server.rundir makes sure that it is really the user's.
        warnings.simplefilter("ignore")
        return platformdirs.user_runtime_path(APP_NAME) / name
