"""Who may come in through which listener; the peers' texts are in test_acceptor."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from server.doors import Door, user_of

STRANGER = 65534
CONNECT = """
import os, socket, sys
os.setuid(int(sys.argv[1]))
end = socket.socket(socket.AF_UNIX)
end.connect('\\0' + sys.argv[2])
end.recv(1)
"""


@pytest.fixture
def door() -> Iterator[Door]:
    end = socket.socket(socket.AF_UNIX)
    # An abstract address, which every user may connect to.
    end.bind(f"\0bee-door-{os.getpid()}")
    end.listen()
    yield Door(3, end, private=True)
    end.close()


def test_our_own_user_is_admitted(door: Door) -> None:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(door.socket.getsockname())
        fd, _ = door.accept()
        assert user_of(fd) == os.geteuid()
        assert door.admits(fd)
        os.close(fd)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
def test_another_user_is_not(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    name = door.socket.getsockname()[1:].decode()
    client = subprocess.Popen([sys.executable, "-c", CONNECT, str(STRANGER), name])
    door.socket.setblocking(True)
    fd, _ = door.accept()
    assert user_of(fd) == STRANGER
    assert not door.admits(fd)
    monkeypatch.setattr(os, "geteuid", lambda: STRANGER)
    assert door.admits(fd)
    os.close(fd)
    assert client.wait(10) == 0


def test_who_is_no_user_of_this_machine_is_not_admitted(door: Door) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert not door.admits(server.fileno())
        assert Door(0, server, private=False).admits(server.fileno())
