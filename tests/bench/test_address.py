"""Ports for servers that are started in a moment."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from bench import address

LOWEST = 16_384
"""Below it are ports that many services have; systems that give these have no room."""


def test_a_free_port_is_none_that_connections_are_given() -> None:
    ports = {address.free_port() for _ in range(20)}
    given = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()
    assert len(ports) > 10
    assert max(ports) < int(given[0]) or int(given[0]) <= LOWEST


def test_one_that_is_taken_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        port = other.getsockname()[1]
        monkeypatch.setattr("random.sample", lambda *_: [port])
        assert address.free_port() not in (0, port)


def test_without_room_below_it_is_any(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    given = tmp_path / "range"
    given.write_text("1024\t65535\n")
    monkeypatch.setattr(address, "_GIVEN_PORTS", given)
    assert address.free_port() > 1023
