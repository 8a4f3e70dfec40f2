"""The four ends that `beespace connect` is tried at: two servers, two protocols each."""

from __future__ import annotations

import subprocess
import sys
from typing import Final

import pytest

from tests.helpers import tarantool
from tests.helpers.server import ROOT, environment

TARGETS: Final = (
    "beespace console",
    "beespace binary",
    pytest.param("tarantool console", marks=tarantool.needed),
    pytest.param("tarantool binary", marks=tarantool.needed),
)


def connect(
    *arguments: str, stdin: bytes = b"", **variables: str
) -> subprocess.CompletedProcess[bytes]:
    """The command as a script."""
    return subprocess.run(
        [sys.executable, "-m", "server", "connect", *arguments],
        input=stdin,
        capture_output=True,
        timeout=50,
        env={**environment(), **variables},
        cwd=ROOT,
    )


def outcome(done: subprocess.CompletedProcess[bytes]) -> tuple[int, str, str]:
    """Exit code and what was printed."""
    return done.returncode, done.stdout.decode(), done.stderr.decode()
