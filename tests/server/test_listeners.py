"""Listeners: real ports, options, unix socket files."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from server import listeners, uri
from server.errors import ServerError
from server.uri import TcpUri, UnixUri


def test_port_zero_becomes_a_real_port() -> None:
    opened = listeners.open_all([uri.parse("127.0.0.1:0"), uri.parse("[::1]:0")])
    for listener, host in zip(opened, ("127.0.0.1", "::1"), strict=True):
        assert isinstance(listener.uri, TcpUri)
        assert listener.uri.port > 0
        with socket.create_connection((host, listener.uri.port), timeout=5) as client:
            accepted, _ = listener.socket.accept()
            with accepted:
                assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
                assert client.getpeername()[1] == listener.uri.port
        listener.close()


def test_ipv6_leaves_ipv4_alone() -> None:
    (listener,) = listeners.open_all([TcpUri("::", 0)])
    assert listener.socket.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) == 1
    listener.close()


def test_a_port_in_use_closes_what_was_open(tmp_path: Path) -> None:
    path = tmp_path / "bee.sock"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ServerError, match=f"got '127.0.0.1:{port}', .* address is in use"):
            listeners.open_all([UnixUri(str(path)), TcpUri("127.0.0.1", port)])
    assert not path.exists()


def test_a_unix_socket_is_private_and_removed(tmp_path: Path) -> None:
    path = tmp_path / "bee.sock"
    (listener,) = listeners.open_all([UnixUri(str(path))])
    assert oct(path.stat().st_mode)[-3:] == "600"
    listener.close()
    assert not path.exists()


def test_a_dead_socket_is_replaced_and_a_live_one_refused(tmp_path: Path) -> None:
    path = tmp_path / "bee.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    (listener,) = listeners.open_all([UnixUri(str(path))])
    with pytest.raises(ServerError, match="another server listens there"):
        listeners.open_all([UnixUri(str(path))])
    listener.close()


def test_who_answers(tmp_path: Path) -> None:
    path = tmp_path / "bee.sock"
    assert not listeners.answers(str(path))
    with socket.socket(socket.AF_UNIX) as end:
        end.bind(str(path))
        assert not listeners.answers(str(path))
        end.listen()
        assert listeners.answers(str(path))


def test_a_file_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "precious"
    path.write_text("text")
    with pytest.raises(ServerError, match="a file that is no socket is there"):
        listeners.open_all([UnixUri(str(path))])
    assert path.read_text() == "text"


def test_the_control_socket_is_private_and_replaces_what_is_left(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    left = listeners.open_own(str(path), "control")
    made = listeners.open_own(str(path), "control")
    assert oct(path.stat().st_mode)[-3:] == "600"
    left.close()
    assert listeners.answers(str(path))
    made.close()
    assert not path.exists()


def test_a_control_socket_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "control.sock").write_text("precious")
    with pytest.raises(ServerError, match=r"process.run_dir: got .*address is in use"):
        listeners.open_own(str(tmp_path / "control.sock"), "control")
    assert (tmp_path / "control.sock").read_text() == "precious"
    deep = tmp_path / ("x" * 100)
    with pytest.raises(ServerError, match="control socket: a unix socket's path has at most 107"):
        listeners.open_own(str(deep / "control.sock"), "control")


def test_a_local_address_is_looked_at_again_when_it_is_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("203.0.113.1", 1))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [found])
    with pytest.raises(ServerError) as caught:
        listeners.open_all([TcpUri("localhost", 1)], "console.listen", local=True)
    line = "203.0.113.1, which it stands for, is no loopback address"
    assert caught.value.lines[0].endswith(f"got 'localhost:1', expected a free address: {line}")


def test_local_addresses() -> None:
    wanted = [TcpUri("localhost", 0), TcpUri("::1", 0), TcpUri("127.0.0.2", 0)]
    for listener in listeners.open_all(wanted, "console.listen", local=True):
        listener.close()


def test_the_socket_of_a_successor_is_left(tmp_path: Path) -> None:
    path = tmp_path / "bee.sock"
    (first,) = listeners.open_all([UnixUri(str(path))])
    path.rename(tmp_path / "moved")
    (second,) = listeners.open_all([UnixUri(str(path))])
    first.close()
    assert path.exists()
    second.close()


def test_a_folder_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ServerError, match="no such file or directory"):
        listeners.open_all([UnixUri(str(tmp_path / "no" / "bee.sock"))])


def test_an_address_that_is_not_ours() -> None:
    with pytest.raises(ServerError, match=r"got '203.0.113.1:1', .*cannot assign"):
        listeners.open_all([TcpUri("203.0.113.1", 1)])
