"""Servers for the whole-server tests: one shared by tests that only look, others on demand."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.helpers.raw import Raw
from tests.helpers.server import DATA, LOOPBACK, Server, running
from tests.helpers.wait import wait_until

Start = Callable[..., Server]


def has_ipv6() -> bool:
    """Whether this machine lets us listen on [::1]."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::1", 0))
        return True
    return False


def await_gone(client: Any, number: int) -> None:
    """Wait until the worker of ``client``, raw or connector, knows no session of that number."""
    wait_until(
        lambda: client.call("box.session.exists", number).data == [0],
        10,
        f"session {number} is forgotten",
    )


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Two workers, every kind of listener, ``data/whole_app.lua``; not to be changed by tests."""
    folder = tmp_path_factory.mktemp("whole")
    listen = [LOOPBACK, f"unix/:{folder}/socket"] + (["[::1]:0"] if has_ipv6() else [])
    with running(folder, app=DATA / "whole_app.lua", workers=2, listen=listen) as server:
        yield server


@pytest.fixture
def client(shared: Server) -> Iterator[Raw]:
    """A raw connection to the shared server."""
    with Raw(shared.address) as connection:
        yield connection


@pytest.fixture
def start(tmp_path: Any) -> Iterator[Start]:
    """Starts servers of a test's own; they are stopped, and checked for leftovers, at its end."""
    with contextlib.ExitStack() as stack:

        def begin(**options: Any) -> Server:
            return stack.enter_context(running(tmp_path, **options))

        yield begin
