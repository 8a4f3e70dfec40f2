"""A real Tarantool, where one is installed, with a console and a binary port on unix sockets."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tests.helpers.wait import wait_until

COMMAND: Final = shutil.which("tarantool")
needed: Final = pytest.mark.skipif(COMMAND is None, reason="tarantool is not installed")

_START_TIME: Final = 20.0
_PROGRAM: Final = """
box.cfg{{listen = '{folder}/binary', wal_mode = 'none', memtx_memory = 2^25, log = '{folder}/log'}}
box.schema.user.grant('guest', 'execute', 'universe')
box.schema.user.create('tester', {{password = 'Sesame-0pen'}})
box.schema.user.grant('tester', 'execute', 'universe')
require('console').listen('{folder}/console')
"""


@dataclass(frozen=True)
class Tarantool:
    """Paths of the sockets of a running Tarantool."""

    console: str
    binary: str


def listens(path: Path) -> bool:
    """Whether somebody takes connections there, which is so a moment after the file is there."""
    with socket.socket(socket.AF_UNIX) as end, contextlib.suppress(OSError):
        end.connect(str(path))
        return True
    return False


@contextlib.contextmanager
def running_tarantool(folder: Path) -> Iterator[Tarantool]:
    """One for the time of a ``with`` block; ``tester`` and guest may execute everything."""
    assert COMMAND is not None
    (folder / "program.lua").write_text(_PROGRAM.format(folder=folder))
    process = subprocess.Popen(
        [COMMAND, "program.lua"],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        # The console is opened last.
        wait_until(lambda: listens(folder / "console"), _START_TIME, "Tarantool's console")
        yield Tarantool(str(folder / "console"), str(folder / "binary"))
    finally:
        process.kill()
        process.wait()
