"""What ``peer`` says about clients of each kind of listener."""

from __future__ import annotations

import contextlib

import pytest

from tests.helpers.raw import Raw
from tests.helpers.server import Server
from tests.whole.conftest import has_ipv6
from tests.whole.connectors import connect, local_name

needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="no [::1] here")


def seen_by_all(server: Server, number: int) -> set[str]:
    """The peer of a session as connections to both workers are told."""
    with Raw(server.address) as one, Raw(server.address) as two:
        asked = [one.call("box.session.peer", number), two.call("box.session.peer", number)]
        return {answer.data[0] for answer in asked}


def test_ipv4(shared: Server) -> None:
    with Raw(shared.address) as client:
        assert client.call("box.session.peer").data == [client.name]
        assert client.name.startswith("127.0.0.1:")
        assert seen_by_all(shared, client.call("box.session.id").data[0]) == {client.name}


@needs_ipv6
def test_ipv6(shared: Server) -> None:
    with Raw(shared.ipv6) as client:
        assert client.call("box.session.peer").data == [client.name]
        assert client.name.startswith("[::1]:")
        assert seen_by_all(shared, client.call("box.session.id").data[0]) == {client.name}


def test_unix_socket(shared: Server) -> None:
    with Raw(shared.unix) as client:
        assert client.call("box.session.peer").data == ["unix/:(socket)"]
        assert seen_by_all(shared, client.call("box.session.id").data[0]) == {"unix/:(socket)"}


@needs_ipv6
def test_ipv6_with_the_connector(shared: Server) -> None:
    with contextlib.closing(connect(shared.ipv6)) as connection:
        assert connection.call("box.session.peer").data == [local_name(connection)]


def test_unix_socket_with_the_connector(shared: Server) -> None:
    with contextlib.closing(connect(shared.unix)) as connection:
        assert connection.call("box.session.peer").data == ["unix/:(socket)"]
