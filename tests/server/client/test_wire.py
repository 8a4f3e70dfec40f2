"""The socket: deadlines, interrupts, and both ends talking at once."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from server.client.failures import ClientError, Gone, Interrupted, Late
from server.client.wire import Wire
from server.uri import TcpUri, UnixUri


@pytest.fixture
def ends() -> Iterator[tuple[Wire, socket.socket]]:
    ours, theirs = socket.socketpair()
    theirs.settimeout(20)
    wire = Wire(ours, "there")
    yield wire, theirs
    wire.close()
    theirs.close()


def test_what_is_sent_arrives_and_back(ends: tuple[Wire, socket.socket]) -> None:
    wire, other = ends
    wire.send(b"abc")
    assert other.recv(10) == b"abc"
    other.sendall(b"def")
    assert wire.receive() == b"def"
    assert wire.receive_nowait() == b""


def test_a_deadline_ends_a_wait(ends: tuple[Wire, socket.socket]) -> None:
    wire, other = ends
    with pytest.raises(Late):
        wire.receive(time.monotonic() + 0.01)
    other.sendall(b"x")
    assert wire.receive(time.monotonic() - 1) == b"x"


def test_an_interrupt_ends_a_wait_and_loses_nothing(ends: tuple[Wire, socket.socket]) -> None:
    wire, other = ends
    reader, writer = os.pipe()
    other.sendall(b"x")
    os.write(writer, b"\0")
    with pytest.raises(Interrupted):
        wire.receive(None, reader)
    os.close(reader)
    os.close(writer)
    assert wire.receive() == b"x"


def test_the_end_of_the_stream_is_told_after_what_was_said(
    ends: tuple[Wire, socket.socket],
) -> None:
    wire, other = ends
    other.sendall(b"last words")
    other.close()
    wire.send(b"to nobody")
    wire.send(b"again")
    assert wire.receive() == b"last words"
    with pytest.raises(Gone, match="there has closed the connection"):
        wire.receive()


def test_two_ends_that_have_much_to_say_do_not_block_each_other(
    ends: tuple[Wire, socket.socket],
) -> None:
    wire, other = ends
    much = b"x" * (8 << 20)
    heard = bytearray()

    def talk() -> None:
        other.sendall(much)
        while len(heard) < len(much):
            heard.extend(other.recv(1 << 20))
        other.sendall(b"!")

    thread = threading.Thread(target=talk)
    thread.start()
    wire.send(much)
    got = b""
    while not got.endswith(b"!"):
        got += wire.receive(time.monotonic() + 20)
    thread.join()
    assert (len(heard), got) == (len(much), much + b"!")


def test_no_connection_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ClientError, match=r"^cannot connect to here: No such file or directory$"):
        Wire.open(UnixUri(str(tmp_path / "nothing")), "here")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        with pytest.raises(ClientError, match=r"^cannot connect to here: Connection refused$"):
            Wire.open(TcpUri("127.0.0.1", port), "here")


def test_a_port_and_a_path_are_connected_to(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_UNIX) as unix:
        unix.bind(str(tmp_path / "s"))
        unix.listen()
        for listener, address in (
            (tcp, TcpUri("127.0.0.1", tcp.getsockname()[1])),
            (unix, UnixUri(str(tmp_path / "s"))),
        ):
            wire = Wire.open(address, "here")
            other, _ = listener.accept()
            wire.send(b"x")
            assert other.recv(1) == b"x"
            wire.close()
            other.close()
