"""The whole command as a script, and stand-in servers that let it in."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from server.client.binary import scramble
from tests.helpers.server import ROOT, environment
from tests.server.client.standin import (
    BINARY,
    CONSOLE,
    ENTRANCE,
    SALT,
    TRUE,
    Turn,
    answer,
    evaluation,
    request,
    standin,
)


def connect(
    *arguments: str, stdin: bytes | None = None, **variables: str
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "server", "connect", *arguments],
        input=stdin or b"",
        capture_output=True,
        timeout=30,
        env={**environment(), **variables},
        cwd=ROOT,
        start_new_session=True,  # without a terminal that could be asked for a password
    )


def outcome(done: subprocess.CompletedProcess[bytes]) -> tuple[int, bytes, bytes]:
    return done.returncode, done.stdout, done.stderr


def login(sync: int, user: str, password: str) -> bytes:
    proof = ["chap-sha1", scramble(SALT[:20], password)]
    return request(sync, 7, {0x23: user, 0x21: proof})


def text_server(path: Path, *turns: Turn) -> Any:
    return standin(path, CONSOLE, (*ENTRANCE, *turns))


def binary_server(path: Path, *turns: Turn) -> Any:
    return standin(path, BINARY, ((evaluation(1, "return true"), answer(1, TRUE)), *turns))
