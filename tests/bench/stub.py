"""A server of the protocol, just good enough for the load generator, for tests of the bench.

It answers from ``results``, so a test can make it wrong. Runs in threads of the test's process; the
context manager ends them.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import msgpack

from bench import packets
from bench.address import Address
from bench.session import Endpoint

SESSION_ID = 77

Results = Callable[[dict[int, Any], str], dict[int, Any]]
"""The answer's body for a request's body and the client's address."""


def good(body: dict[int, Any], peer: str) -> dict[int, Any]:
    """What a right server answers."""
    if "ready" in body.get(packets.KEY_EXPRESSION, ""):
        return {packets.KEY_DATA: [{"id": 1, "name": "bee", "ready": True}]}
    if packets.KEY_EXPRESSION in body:
        return {packets.KEY_DATA: body[packets.KEY_TUPLE]}
    function = body.get(packets.KEY_FUNCTION)
    if function is None:
        return {}
    known = {
        "box.session.id": SESSION_ID,
        "box.session.exists": True,
        "box.session.peer": peer,
        "bench_garbage": 64,
        "math.max": 3,
        "bench_mixed": True,
        "bench_sleep": 0.001,
    }
    return {packets.KEY_DATA: [known[function]]}


@contextmanager
def serve(results: Results = good) -> Iterator[Endpoint]:
    """A server on a free port of 127.0.0.1."""
    ends: list[socket.socket] = []
    threads: list[threading.Thread] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            with suppress(OSError):
                while True:
                    end, (host, port) = listener.accept()
                    ends.append(end)
                    speak = threading.Thread(target=_speak, args=(end, f"{host}:{port}", results))
                    threads.append(speak)
                    speak.start()

        accepting = threading.Thread(target=accept)
        accepting.start()
        try:
            yield Endpoint("stub", Address(port=listener.getsockname()[1]))
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            accepting.join()
            for end in ends:
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
            for thread in threads:
                thread.join()


@contextmanager
def nobody() -> Iterator[Endpoint]:
    """A port of 127.0.0.1 where nobody listens, and that nobody else gets meanwhile."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield Endpoint("nobody", Address(port=taken.getsockname()[1]))


def _speak(end: socket.socket, peer: str, results: Results) -> None:
    with end, suppress(OSError):
        end.sendall(b"Tarantool 2.11.0 (Binary) stub".ljust(63) + b"\n" + b"\n".rjust(64))
        buffer = b""
        while data := end.recv(65536):
            buffer += data
            out = b""
            while (size := packets.answer_size(buffer)) is not None and size <= len(buffer):
                asked = packets.decode(buffer[:size])
                body = results(dict(asked.body), peer)
                code = 0x8000 + 32 if packets.KEY_ERROR in body else 0
                head: bytes = msgpack.packb({packets.KEY_TYPE: code, packets.KEY_SYNC: asked.sync})
                payload = head + msgpack.packb(body)
                out += b"\xce" + len(payload).to_bytes(4, "big") + payload
                buffer = buffer[size:]
            end.sendall(out)
