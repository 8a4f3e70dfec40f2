"""Which processes a server has that was given by its address."""

from __future__ import annotations

import subprocess
import sys

from bench import targets, usage

LISTENER = """
import socket, sys
with socket.create_server(('127.0.0.1', 0)) as listener:
    print(listener.getsockname()[1], flush=True)
    sys.stdin.read()
"""


def test_the_root_of_a_server_with_several_processes() -> None:
    with targets.beespace(1) as endpoint:
        assert usage.listener_pid(endpoint.address.port) == endpoint.pid
        assert endpoint.pid is not None
        assert len(usage.tree(endpoint.pid)) >= 3


def test_what_started_the_server_is_no_part_of_it() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", LISTENER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        port = int(process.stdout.readline())
        assert usage.listener_pid(port) == process.pid
        process.stdin.close()
    assert usage.listener_pid(port) is None
