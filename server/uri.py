"""Listen URIs: text to value and back. Pure.

    127.0.0.1:3301   localhost:3301   [::1]:3301   3301   *:3301   unix/:/run/bee.sock

A bare port means the loopback address only: a server whose guest may run any code is opened to the
network on purpose (``*:3301``, ``0.0.0.0:3301``) or not at all. Port 0 means any free port. Behind
it may be ``?proxy_protocol=true``: clients come through a proxy that says who they are.
Settings parse these texts, listeners bind the values, and the ready line prints them.
"""

from __future__ import annotations

import ipaddress
import os
import re
from dataclasses import dataclass, replace
from typing import Final

LOOPBACK: Final = "127.0.0.1"
LOCALHOST: Final = "localhost"
EXPECTED: Final = "host:port, [ipv6]:port, port, *:port or unix/:/path"
EXPECTED_PORT: Final = "expected a port from 0 to 65535"
UNIX_PREFIX: Final = "unix/:"
UNIX_PATH_BYTES: Final = 107
"""Longest path of a unix socket: sun_path of the kernel without its NUL."""

_HOST_LABEL: Final = r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOST: Final = re.compile(rf"{_HOST_LABEL}(\.{_HOST_LABEL})*\.?")
_HOST_CHARACTERS: Final = 253
_IPV6_CHARACTERS: Final = re.compile(r"[0-9A-Fa-f:.]*")
_PORT: Final = re.compile(r"[0-9]{1,5}")
_LAST_PORT: Final = 65535
_PROXY: Final = "?proxy_protocol=true"
_OPTIONS: Final = {"proxy_protocol=true": True, "proxy_protocol=false": False}


class UriError(ValueError):
    """Text that is no listen URI; the message says what is wrong with it."""


@dataclass(frozen=True)
class TcpUri:
    """A host name or address and a port; ``host`` of IPv6 is without brackets."""

    host: str
    port: int
    proxy: bool = False

    @property
    def is_ipv6(self) -> bool:
        """Whether ``host`` is an IPv6 address."""
        return ":" in self.host

    @property
    def is_loopback(self) -> bool:
        """Whether no other machine can connect, as far as ``host`` tells."""
        return self.host.lower() == LOCALHOST or is_loopback(self.host)

    def __str__(self) -> str:
        host = f"[{self.host}]" if self.is_ipv6 else self.host
        return f"{host}:{self.port}{_PROXY if self.proxy else ''}"


@dataclass(frozen=True)
class UnixUri:
    """An absolute path of a unix socket."""

    path: str
    proxy: bool = False

    def __str__(self) -> str:
        return UNIX_PREFIX + self.path + (_PROXY if self.proxy else "")


Uri = TcpUri | UnixUri


def is_loopback(host: str) -> bool:
    """Whether a host is a loopback address; no name is."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def parse(text: str) -> Uri:
    """The URI a text stands for; UriError when it stands for none."""
    address, question, options = text.rpartition("?")
    if question and "=" in options:
        if options not in _OPTIONS:
            raise UriError("expected no parameter but proxy_protocol=true or =false")
        return replace(_address(address), proxy=_OPTIONS[options])
    return _address(text)


def same_place(one: Uri, other: Uri) -> bool:
    """Whether two URIs cannot both be listened at."""
    return replace(one, proxy=False) == replace(other, proxy=False)


def _address(text: str) -> Uri:
    if text.startswith("unix/"):
        return _unix(text)
    if _PORT.fullmatch(text):
        return TcpUri(LOOPBACK, _port(text))
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or not rest.startswith(":"):
            raise UriError(f"expected {EXPECTED}")
        return TcpUri(_ipv6(host), _port(rest[1:]))
    host, colon, port = text.rpartition(":")
    if not colon or not host:
        raise UriError(f"expected {EXPECTED}")
    if ":" in host and _IPV6_CHARACTERS.fullmatch(host):
        raise UriError("expected an IPv6 address in brackets: [address]:port")
    if ":" in host:
        raise UriError(f"expected {EXPECTED}")
    return TcpUri(_host(host), _port(port))


def _unix(text: str) -> UnixUri:
    path = text.removeprefix(UNIX_PREFIX)
    if path == text or not path.startswith("/"):
        raise UriError("expected unix/: and an absolute path: unix/:/path")
    if "\0" in path or path.endswith("/"):
        raise UriError("expected unix/: and the path of a file")
    length = len(os.fsencode(path))
    if length > UNIX_PATH_BYTES:
        raise UriError(f"expected a path of at most {UNIX_PATH_BYTES} bytes, it has {length}")
    return UnixUri(path)


def _port(text: str) -> int:
    if not _PORT.fullmatch(text) or int(text) > _LAST_PORT:
        raise UriError(EXPECTED_PORT)
    return int(text)


def _ipv6(text: str) -> str:
    try:
        return str(ipaddress.IPv6Address(text))
    except ValueError as error:
        raise UriError("expected an IPv6 address in the brackets") from error


def _host(text: str) -> str:
    if text == "*":
        return "0.0.0.0"
    if re.fullmatch(r"[0-9.]+", text):
        try:
            return str(ipaddress.IPv4Address(text))
        except ValueError as error:
            raise UriError("expected an IPv4 address of four numbers") from error
    if len(text) > _HOST_CHARACTERS or not _HOST.fullmatch(text):
        raise UriError("expected a host name or an address before the port")
    return text
