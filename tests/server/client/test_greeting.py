"""The greeting: which protocol, which version, which salt."""

from __future__ import annotations

import pytest

from server.client.greeting import Greeting, may_become, parse
from tests.server.client.standin import BINARY, CONSOLE, SALT


def test_a_console_greets() -> None:
    assert parse(CONSOLE) == Greeting("2.6.0", False, b"")


def test_a_binary_port_greets() -> None:
    assert parse(BINARY) == Greeting("2.6.0", True, SALT[:20])


@pytest.mark.parametrize(
    "data",
    [
        CONSOLE[:-1],
        CONSOLE + b"\n",
        b"HTTP/1.1 400 Bad Request\r\n".ljust(128),
        CONSOLE.replace(b"Lua console", b"Lua cashier"),
        CONSOLE[:64] + b" " * 64,
        BINARY.replace(b"Hh8=", b"*h8="),
        BINARY[:64] + b"AAEC".ljust(63) + b"\n",
    ],
)
def test_something_else_is_no_greeting(data: bytes) -> None:
    assert parse(data) is None


@pytest.mark.parametrize("data", [b"", b"T", b"Tarantool", b"Tarantool 2.6.0 (Lua"])
def test_the_start_of_a_greeting_may_become_one(data: bytes) -> None:
    assert may_become(data)


@pytest.mark.parametrize("data", [b"S", b"SSH-2.0-x", b"Tarantula 1", b"Tx"])
def test_the_start_of_something_else_may_not(data: bytes) -> None:
    assert not may_become(data)
