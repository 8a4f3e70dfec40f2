"""The probe: what was due while a server stood still is late, and wrong answers end the run."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress

import msgpack
import pytest

from bench import packets
from bench.address import Address
from bench.packets import AnswerError
from bench.probe import PERIOD, Probe
from bench.session import Endpoint, Session
from tests.bench import stub

GREETING = b"Tarantool 2.11.0 (Binary) stub".ljust(63) + b"\n" + b"\n".rjust(64)
Behave = Callable[[socket.socket], None]


def answer(sync: int, code: int = 0) -> bytes:
    payload = msgpack.packb({packets.KEY_TYPE: code, packets.KEY_SYNC: sync}) + b"\x80"
    return b"\xce" + len(payload).to_bytes(4, "big") + payload


def syncs(end: socket.socket) -> Iterator[int]:
    """The requests' numbers, as they come."""
    buffer = b""
    while data := end.recv(65536):
        buffer += data
        while (size := packets.answer_size(buffer)) is not None and size <= len(buffer):
            yield packets.decode(buffer[:size]).sync
            buffer = buffer[size:]


@pytest.fixture
def serve() -> Iterator[Callable[[Behave], Session]]:
    """A session whose other end behaves as it is told, in a thread."""
    with ExitStack() as stack:

        def start(behave: Behave) -> Session:
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))

            def speak() -> None:
                end, _ = listener.accept()
                with end, suppress(OSError):
                    end.sendall(GREETING)
                    behave(end)

            thread = threading.Thread(target=speak)
            thread.start()
            stack.callback(thread.join)
            endpoint = Endpoint("stub", Address(port=listener.getsockname()[1]))
            return stack.enter_context(Session(endpoint))

        yield start


def test_requests_are_sent_in_time_and_each_is_answered() -> None:
    with stub.serve() as endpoint, Session(endpoint) as session:
        probe = Probe(session)
        probe.run(0.1)
        assert len(probe.delays) == 100
        assert min(probe.delays) > 0


def test_a_server_that_stands_still_delays_all_that_are_due(
    serve: Callable[[Behave], Session],
) -> None:
    def stall(end: socket.socket) -> None:
        held: list[int] = []
        for sync in syncs(end):
            held.append(sync)
            if sync >= 50:
                end.sendall(b"".join(answer(each) for each in held))
                held.clear()

    probe = Probe(serve(stall))
    probe.run(0.06)
    late = [delay for delay in probe.delays if delay > 25 * PERIOD * 1e6]
    assert len(late) >= 24
    assert probe.delays[0] >= 49 * PERIOD * 1e6
    assert probe.delays[0] > probe.delays[40]


def test_it_ends_when_a_descriptor_says_so(serve: Callable[[Behave], Session]) -> None:
    reader, writer = os.pipe()

    def behave(end: socket.socket) -> None:
        for sync in syncs(end):
            if sync == 5:
                os.write(writer, b".")
            end.sendall(answer(sync))

    probe = Probe(serve(behave))
    probe.run(until=reader)
    assert len(probe.delays) >= 5
    os.close(reader)
    os.close(writer)


def says(first: Callable[[int], bytes]) -> Behave:
    """Says this to the first request; reads the others, too, so that nothing is reset."""

    def behave(end: socket.socket) -> None:
        asked = syncs(end)
        end.sendall(first(next(asked)))
        end.shutdown(socket.SHUT_WR)
        for _ in asked:
            pass

    return behave


WRONG: list[tuple[Behave, str]] = [
    (says(lambda sync: answer(sync + 1)), "an answer has sync 2, expected 1"),
    (says(lambda sync: answer(sync, 0x8001)), "answered with error 1"),
    (says(lambda sync: bytes([sync])), "the server closed the connection"),
]


@pytest.mark.parametrize(("behave", "text"), WRONG)
def test_a_wrong_answer_ends_the_run(
    serve: Callable[[Behave], Session], behave: Behave, text: str
) -> None:
    with pytest.raises((AnswerError, ConnectionError), match=text):
        Probe(serve(behave)).run(5)
