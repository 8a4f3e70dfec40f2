"""Sockets that systemd gives: which are taken, what each is for, which are refused."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from server import given
from server.errors import ExitStatus, SettingsError
from server.given import Given, Share, share, taken
from server.listeners import Listener
from server.settings import Settings, load
from server.uri import TcpUri, UnixUri, parse
from shm import layout

FIRST = 300
PID = str(os.getpid())

Put = Callable[..., dict[str, str]]


@pytest.fixture
def put(monkeypatch: pytest.MonkeyPatch) -> Iterator[Put]:
    """Bring sockets to where they are looked for; the variables that tell of them."""
    monkeypatch.setattr(given, "FIRST_FD", FIRST)
    placed: list[int] = []

    def place(*ends: socket.socket, names: str | None = None) -> dict[str, str]:
        for end in ends:
            placed.append(os.dup2(end.fileno(), FIRST + len(placed), inheritable=True))
            end.close()
        told = {"LISTEN_FDS": str(len(ends)), "LISTEN_PID": PID}
        return told if names is None else {**told, "LISTEN_FDNAMES": names}

    yield place
    for fd in placed:
        with contextlib.suppress(OSError):
            os.close(fd)


def tcp(host: str = "127.0.0.1") -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, 0), family=family)


def unix(path: Path) -> socket.socket:
    end = socket.socket(socket.AF_UNIX)
    end.bind(str(path))
    end.listen()
    return end


def refused(environment: dict[str, str]) -> str:
    with pytest.raises(SettingsError) as caught:
        taken(environment)
    assert caught.value.exit_code is ExitStatus.SETTINGS
    (line,) = caught.value.lines
    return line


def test_sockets_are_taken_once(put: Put, tmp_path: Path) -> None:
    path = tmp_path / "bee.sock"
    first, second, third = tcp(), tcp("::1"), unix(path)
    ports = [end.getsockname()[1] for end in (first, second)]
    environment = {"HOME": "/", **put(first, second, third, names="iproto:web:console")}
    found = taken(environment)
    assert environment == {"HOME": "/"}
    assert taken(environment) == ()
    assert [(one.name, one.listener.uri) for one in found] == [
        ("iproto", TcpUri("127.0.0.1", ports[0])),
        ("web", TcpUri("::1", ports[1])),
        ("console", UnixUri(str(path))),
    ]
    for fd, one in enumerate(found, FIRST):
        assert one.listener.socket.fileno() == fd
        assert not os.get_inheritable(fd)
    for one in found[:2]:
        end = one.listener.socket
        assert end.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
    for one in found:
        one.listener.close()
    assert path.exists()


def test_sockets_without_names(put: Put) -> None:
    (one,) = taken(put(tcp()))
    one.listener.close()
    assert one.name == "unknown"


@pytest.mark.parametrize(
    "told",
    [{}, {"LISTEN_FDS": "1"}, {"LISTEN_FDS": "1", "LISTEN_PID": "1", "LISTEN_FDNAMES": "a"}],
)
def test_sockets_of_somebody_else(told: dict[str, str]) -> None:
    environment = dict(told)
    assert taken(environment) == ()
    assert environment == {}


def test_variables_that_make_no_sense(put: Put) -> None:
    assert "LISTEN_FDS: got 'two', expected a number" in refused(
        {"LISTEN_FDS": "two", "LISTEN_PID": PID}
    )
    assert "LISTEN_FDNAMES: got 2 names, expected 1" in refused(put(tcp(), names="a:b"))


def test_a_descriptor_that_is_not_there(put: Put) -> None:
    told = put()
    assert "got file descriptor 300, expected a socket: bad file" in refused(
        {**told, "LISTEN_FDS": "1"}
    )


def _datagrams(_: Path) -> socket.socket:
    end = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    end.bind(("127.0.0.1", 0))
    return end


def _silent(_: Path) -> socket.socket:
    end = socket.socket()
    end.bind(("127.0.0.1", 0))
    return end


def _abstract(_: Path) -> socket.socket:
    end = socket.socket(socket.AF_UNIX)
    end.bind(f"\0beespace-given-{PID}")
    end.listen()
    return end


def _relative(_: Path) -> socket.socket:
    end = socket.socket(socket.AF_UNIX)
    end.bind("given.sock")
    end.listen()
    return end


def _both_families(_: Path) -> socket.socket:
    return socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (_datagrams, "expected a stream socket (ListenStream=)"),
        (_silent, "expected a socket that listens (Accept=no)"),
        (_abstract, "expected a unix socket with an absolute path"),
        (_relative, "got given.sock, expected a unix socket with an absolute path"),
        (lambda _: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW), "a TCP or a unix socket"),
        (_both_families, "expected IPv6 only (BindIPv6Only=ipv6-only)"),
    ],
)
def test_what_cannot_be_served(
    put: Put,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    make: Callable[[Path], socket.socket],
    expected: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    line = refused(put(make(tmp_path), names="bee"))
    assert line.startswith("socket 'bee' from systemd: got ")
    assert expected in line


def one(name: str, text: str) -> Given:
    """A socket at an address, as far as is looked at."""
    return Given(name, Listener(parse(text), socket.socket()))


def settings(listen: list[str], console: list[str] | None = None, **others: str) -> Settings:
    flags: dict[str, Any] = {"listen": listen, "console": console}
    names = {f"BEESPACE_CONSOLE_{key.upper()}": value for key, value in others.items()}
    return load(flags, names)


def shown(found: Share) -> tuple[list[str], list[str], list[str], list[str] | None]:
    """Clients and consoles by their URIs, and what is left to open."""
    for listener in (*found.clients, *found.consoles):
        listener.close()
    left = found.console_listen
    return (
        [str(listener.uri) for listener in found.clients],
        [str(listener.uri) for listener in found.consoles],
        [str(uri) for uri in found.listen],
        None if left is None else [str(uri) for uri in left],
    )


A, B, C = "127.0.0.1:3301", "[::1]:3302", "127.0.0.1:3303"
PROXIED = f"{A}?proxy_protocol=true"
SHARES: list[tuple[str, list[tuple[str, str]], Settings, Any]] = [
    ("nothing given", [], settings([A]), ([], [], [A], None)),
    ("iproto replaces all", [("iproto", B)], settings([A, C]), ([B], [], [], None)),
    ("several iproto", [("iproto", x) for x in (B, C)], settings([A]), ([B, C], [], [], None)),
    ("by address", [("bee.socket", A)], settings([A, B]), ([A], [], [B], None)),
    (
        "a name and an address",
        [("iproto", C), ("x", A)],
        settings([A]),
        ([C, A], [], [], None),
    ),
    ("parameters stay", [("iproto", A)], settings([PROXIED]), ([PROXIED], [], [], None)),
    ("console by name", [("console", C)], settings([A]), ([], [C], [A], [])),
    ("console replaces all", [("console", C)], settings([A], [B]), ([], [C], [A], [])),
    ("console by address", [("x", C)], settings([A], [B, C]), ([], [C], [A], [B])),
    ("no consoles", [("iproto", C)], settings([A], enabled="false"), ([C], [], [], [])),
    (
        "remote console",
        [("console", "*:3303")],
        settings([A], allow_remote="true"),
        ([], ["0.0.0.0:3303"], [A], []),
    ),
]


@pytest.mark.parametrize(
    ("came", "made", "found"), [r[1:] for r in SHARES], ids=[r[0] for r in SHARES]
)
def test_what_a_socket_is_for(came: list[tuple[str, str]], made: Settings, found: Any) -> None:
    assert shown(share([one(*words) for words in came], made)) == found


REFUSALS: list[tuple[str, list[tuple[str, str]], Settings, str]] = [
    ("no name, no address", [("web", C)], settings([A]), "the name iproto or console"),
    ("remote console", [("console", "*:3303")], settings([A]), "console.allow_remote: true"),
    ("no consoles", [("console", C)], settings([A], enabled="false"), "enabled is false"),
    (
        "too many",
        [("iproto", f"127.0.0.1:{port}") for port in range(4000, 4001 + layout.MAX_LISTENERS)],
        settings([A]),
        f"got 17 of iproto, those of the settings among them, expected at most {16}",
    ),
]


@pytest.mark.parametrize(
    ("came", "made", "text"), [r[1:] for r in REFUSALS], ids=[r[0] for r in REFUSALS]
)
def test_what_is_refused(came: list[tuple[str, str]], made: Settings, text: str) -> None:
    sockets = [one(*words) for words in came]
    with pytest.raises(SettingsError) as caught:
        share(sockets, made)
    for each in sockets:
        each.listener.close()
    assert text in str(caught.value)


@pytest.mark.parametrize(("mode", "allowed"), [(0o600, True), (0o660, True), (0o666, False)])
def test_a_console_for_everybody(tmp_path: Path, mode: int, allowed: bool) -> None:
    path = tmp_path / "console.sock"
    with unix(path) as end:
        path.chmod(mode)
        came = [Given("console", Listener(UnixUri(str(path)), end))]
        if allowed:
            assert share(came, load({}, {})).consoles[0].path == str(path)
        else:
            with pytest.raises(SettingsError, match="SocketMode=0600"):
                share(came, load({}, {}))


def test_a_console_whose_file_is_gone(tmp_path: Path) -> None:
    came = [one("console", f"unix/:{tmp_path}/gone")]
    with pytest.raises(SettingsError, match="expected a file at its path: no such file"):
        share(came, load({}, {}))
    came[0].listener.close()
