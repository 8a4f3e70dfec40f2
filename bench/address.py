"""Addresses of servers: what a user writes, what a socket wants."""

from __future__ import annotations

import random
import re
import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_HOST_PORT: Final = re.compile(r"(?:(?P<host>\[[^\]]+\]|[^:\[\]/@]+):)?(?P<port>\d+)")
_UNIX: Final = re.compile(r"unix/:(?P<path>/.+)")

CONNECT_SECONDS: Final = 5.0

_IP_BIND_ADDRESS_NO_PORT: Final = 24
_GIVEN_PORTS: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")
_LOWEST_PORT: Final = 16_384
_TRIES: Final = 16


class AddressError(Exception):
    """A text that is no address."""


@dataclass(frozen=True)
class Address:
    """``host``, ``port`` of a TCP server, or ``path`` of a unix socket."""

    host: str = "127.0.0.1"
    port: int = 0
    path: str | None = None

    @classmethod
    def parse(cls, text: str) -> Address:
        """``port``, ``host:port``, ``[::1]:port`` or ``unix/:/path``."""
        if unix := _UNIX.fullmatch(text):
            return cls(path=unix["path"])
        match = _HOST_PORT.fullmatch(text)
        if match is None or not 0 < int(match["port"]) < 65536:
            raise AddressError(f"{text!r}: expected host:port, [::1]:port, port or unix/:/path")
        return cls((match["host"] or "127.0.0.1").strip("[]"), int(match["port"]))

    def __str__(self) -> str:
        if self.path is not None:
            return f"unix/:{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    def connect(self, source: str | None = None) -> socket.socket:
        """A connected, blocking socket; ``source`` is the address to come from (TCP only)."""
        if self.path is not None:
            end = socket.socket(socket.AF_UNIX)
            end.settimeout(CONNECT_SECONDS)
            try:
                end.connect(self.path)
            except OSError:
                end.close()
                raise
            return end
        if source is None:
            end = socket.create_connection((self.host, self.port), CONNECT_SECONDS)
        else:
            end = self._connect_from(source)
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return end

    def _connect_from(self, source: str) -> socket.socket:
        """The port is left to connect(): bind() would search all ports the other sockets use."""
        end = socket.socket(socket.AF_INET)
        try:
            end.settimeout(CONNECT_SECONDS)
            end.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
            end.bind((source, 0))
            end.connect((self.host, self.port))
        except BaseException:
            end.close()
            raise
        return end


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listened on a moment ago.

    Where there is room it is below those that the system gives to connections: one of these could
    take it before a server does.
    """
    ports = range(_LOWEST_PORT, int(_GIVEN_PORTS.read_text().split()[0]))
    for port in [*random.sample(ports, min(len(ports), _TRIES)), 0]:
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return int(probe.getsockname()[1])
    raise OSError("127.0.0.1 has no free port")
