"""Versions, as ``beespace --version`` and the ready line tell them.

The control plane may not load LuaJIT, so its version is asked of ``python -m workers --version`` in
a process of its own.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Final

from server.errors import ServerError

DISTRIBUTION: Final = "beespace"
UNPACKAGED: Final = "0+unpackaged"
"""Version of a source tree that was never installed."""

_ROOT: Final = Path(__file__).resolve().parent.parent
_SECONDS: Final = 30.0


def beespace_version() -> str:
    """Version of the installed distribution."""
    try:
        return importlib.metadata.version(DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError:
        return UNPACKAGED


def luajit_version() -> str:
    """E.g. ``LuaJIT 2.1.1774896198``; ServerError when the worker's part does not start."""
    # -P and the path of this very installation: the current folder must not be able to lend its
    # own module called "workers".
    command = [sys.executable, "-P", "-m", "workers", "--version"]
    environment = {**os.environ, "PYTHONPATH": str(_ROOT)}
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise ServerError(f"the version of LuaJIT cannot be found out: {error}") from error
    return done.stdout.strip()


def version_line() -> str:
    """Everything ``beespace --version`` prints."""
    python = platform.python_version()
    return f"beespace {beespace_version()}, {luajit_version()}, Python {python}"
