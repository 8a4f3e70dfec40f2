"""The stock connector, opened as its users open it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import tarantool

from tests.helpers.raw import Address


def connect(address: Address) -> Any:
    """A connection of the ``tarantool`` package, unmodified, without reconnecting."""
    host, port = (None, address) if isinstance(address, str) else address
    return tarantool.Connection(
        host, port, reconnect_max_attempts=0, socket_timeout=10, connection_timeout=10
    )


@contextlib.contextmanager
def connected(address: Address, count: int) -> Iterator[list[Any]]:
    """``count`` connections for the time of a ``with`` block."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(contextlib.closing(connect(address))) for _ in range(count)]


def local_name(connection: Any) -> str:
    """The address ``peer`` of the server has to show for a TCP connection."""
    host, port = connection._socket.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
