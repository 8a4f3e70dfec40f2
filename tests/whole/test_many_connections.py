"""As many silent connections as there can be: each is a session, and none takes much memory."""

from __future__ import annotations

import contextlib
import os
import resource
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.raw import Raw
from tests.helpers.server import DATA, LOOPBACK
from tests.helpers.wait import wait_until
from tests.whole.conftest import Start, await_gone
from tests.whole.test_hostile import MEGABYTE, memory


@pytest.fixture
def room() -> Iterator[int]:
    """Connections there can be: this process and the server's one worker each hold one end."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield min(10_000, hard - len(os.listdir("/proc/self/fd")) - 500)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_ten_thousand_silent_connections(start: Start, tmp_path: Path, room: int) -> None:
    count = room
    path = tmp_path / "silent"
    server = start(app=DATA / "whole_app.lua", workers=1, listen=[LOOPBACK, f"unix/:{path}"])
    with Raw(server.address) as witness, contextlib.ExitStack() as stack:
        grown = memory(witness)
        for number in range(count):
            silent = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            silent.connect(str(path))
            if number % 1000 == 0:
                witness.ping()
        last = stack.enter_context(Raw(server.address))
        assert last.eval("return 1").data == [1]
        wait_until(
            lambda: last.call("box.session.exists", count + 2).data == [1],
            30,
            "a session for every connection",
        )
        last.eval("collectgarbage() collectgarbage()")
        assert grown() < count * 1024 + 8 * MEGABYTE
    with Raw(server.address) as after:
        await_gone(after, count // 2)
        await_gone(after, count)
