"""Messages keep their borders and their descriptors; a closed end is noticed."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from shm import channel
from shm.channel import MAX_FDS, MAX_MESSAGE, Channel, ChannelClosedError

Ends = tuple[Channel, Channel]


@pytest.fixture
def ends() -> Iterator[Ends]:
    """Two ends of one channel."""
    left, right = (Channel(end) for end in channel.pair())
    yield left, right
    left.close()
    right.close()


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """Reading and writing end of a pipe."""
    reader, writer = os.pipe()
    yield reader, writer
    os.close(reader)
    os.close(writer)


def test_nothing_there_yet(ends: Ends) -> None:
    assert ends[1].receive() is None


def test_messages_keep_their_borders_and_their_order(ends: Ends) -> None:
    left, right = ends
    for number in range(20):
        left.send({"op": "worker_gone", "index": number})
    found = [right.receive() for _ in range(21)]
    assert found == [*(({"op": "worker_gone", "index": n}, []) for n in range(20)), None]


def test_both_directions(ends: Ends) -> None:
    ends[0].send({"op": "stop"})
    ends[1].send({"op": "ready"})
    assert ends[0].receive() == ({"op": "ready"}, [])
    assert ends[1].receive() == ({"op": "stop"}, [])


def test_a_descriptor_travels(ends: Ends, pipe: tuple[int, int]) -> None:
    ends[0].send({"op": "worker_up", "index": 3}, [pipe[1]])
    received = ends[1].receive()
    assert received is not None
    message, (copy,) = received
    assert message == {"op": "worker_up", "index": 3}
    assert copy != pipe[1]
    assert not os.get_inheritable(copy)
    os.write(copy, b"through the copy")
    os.close(copy)
    assert os.read(pipe[0], 100) == b"through the copy"


def test_the_most_descriptors_travel_in_order(ends: Ends, pipe: tuple[int, int]) -> None:
    sent = [pipe[number % 2] for number in range(MAX_FDS)]
    ends[0].send({}, sent)
    received = ends[1].receive()
    assert received is not None
    copies = received[1]
    assert [os.fstat(fd).st_mode for fd in copies] == [os.fstat(fd).st_mode for fd in sent]
    assert len(set(copies)) == MAX_FDS
    for fd in copies:
        os.close(fd)


def test_one_descriptor_more_is_refused(ends: Ends, pipe: tuple[int, int]) -> None:
    with pytest.raises(OSError, match="Invalid argument"):
        ends[0].send({}, [pipe[0]] * (MAX_FDS + 1))
    assert ends[1].receive() is None


def test_receive_at_a_closed_end(ends: Ends) -> None:
    ends[0].send({"op": "ready"})
    ends[0].close()
    assert ends[1].receive() == ({"op": "ready"}, [])
    with pytest.raises(ChannelClosedError):
        ends[1].receive()


def test_send_to_a_closed_end(ends: Ends) -> None:
    ends[1].close()
    with pytest.raises(ChannelClosedError):
        ends[0].send({"op": "stop"})


def test_a_closed_end_with_unread_messages(ends: Ends) -> None:
    ends[0].send({"op": "stop"})
    ends[1].close()
    with pytest.raises(ChannelClosedError):
        ends[0].receive()


def test_the_longest_message(ends: Ends) -> None:
    text = "x" * (MAX_MESSAGE - 10)
    ends[0].send({"error": text})
    assert ends[1].receive() == ({"error": text}, [])


def test_a_longer_message_is_refused(ends: Ends) -> None:
    with pytest.raises(ValueError, match=f"bytes, at most {MAX_MESSAGE} fit"):
        ends[0].send({"error": "x" * MAX_MESSAGE})
    assert ends[1].receive() is None


def test_a_reader_that_does_not_read_blocks_nobody(ends: Ends) -> None:
    def send_many() -> None:
        for _ in range(10000):
            ends[0].send({"text": "x" * 1000})

    with pytest.raises(BlockingIOError):
        send_many()


def test_ids_are_packed_as_workers_read_them(pipe: tuple[int, int]) -> None:
    left, right = channel.pair()
    with left, right:
        channel.send_fds(left, channel.pack_ids([1, 2**46]), [pipe[0], pipe[1]])
        data, fds, _, _ = socket.recv_fds(right, 100, 10)
    assert data == bytes([1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x40, 0, 0])
    assert len(fds) == 2
    for fd in fds:
        os.close(fd)


def test_the_bus_keeps_what_nobody_reads_yet() -> None:
    rows = channel.bus(3)
    for row, (_, writer) in enumerate(rows):
        writer.send(b"one for %d" % row)
        writer.send(b"two for %d" % row)
        assert writer.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) >= 1 << 17
    for row, (reader, _) in enumerate(rows):
        assert [reader.recv(100) for _ in range(2)] == [b"one for %d" % row, b"two for %d" % row]
    for end in (end for pair in rows for end in pair):
        end.close()
