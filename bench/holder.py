"""Holds idle sessions: ``python -m bench.holder ADDRESS SOURCE``.

Started by ``bench.idle``, talks by lines: ``open N`` connects N more and has a PING answered on
each, ``warm N`` calls bench_garbage (see app.lua) instead, ``close`` closes all; each is answered
with ``done`` or with what went wrong. Ends with its input. More than _BY_SOURCE connections come
from several addresses of the loopback network, 127.0.0.SOURCE and those behind it, so that no pair
of addresses runs short of ports.
"""

from __future__ import annotations

import resource
import signal
import socket
import sys
from typing import Final

from bench import packets
from bench.address import Address
from bench.packets import AnswerError

MOST_FILES: Final = 20_000

_BY_SOURCE: Final = 5_000
_PING: Final = packets.request(packets.TYPE_PING, 1, {})
_GARBAGE: Final = packets.request(
    packets.TYPE_CALL,
    1,
    {packets.KEY_FUNCTION: "bench_garbage", packets.KEY_TUPLE: [2_000]},
)


def raise_limit(most: int) -> None:
    """Allow this process and what it starts ``most`` open files, as far as the system lets us."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))


class Sessions:
    """The open connections."""

    def __init__(self, address: Address, source: int) -> None:
        self._address = address
        self._first = source
        self._ends: list[socket.socket] = []

    def open(self, count: int, request: bytes) -> None:
        """Connect, read the greeting, have one request answered, on each."""
        for _ in range(count):
            end = self._address.connect(self._source())
            self._ends.append(end)
            _read(end, packets.GREETING_SIZE)
            end.sendall(request)
            head = _read(end, 5)
            size = packets.answer_size(head) or 0
            packets.decode(head + _read(end, size - len(head))).data()

    def close(self) -> None:
        """Close all; returns when the server has closed its ends as well."""
        for end in self._ends:
            end.shutdown(socket.SHUT_WR)
        for end in self._ends:
            with end:
                while end.recv(4096):
                    pass
        self._ends.clear()

    def _source(self) -> str | None:
        if not self._address.host.startswith("127."):
            return None
        return f"127.0.0.{self._first + len(self._ends) // _BY_SOURCE}"


def _read(end: socket.socket, size: int) -> bytes:
    received = b""
    while len(received) < size:
        portion = end.recv(size - len(received))
        if not portion:
            raise AnswerError("the server closed the connection")
        received += portion
    return received


def main(arguments: list[str]) -> None:
    """Obey the lines of standard input."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise_limit(MOST_FILES)
    sessions = Sessions(Address.parse(arguments[0]), int(arguments[1]))
    for line in sys.stdin:
        command, _, count = line.strip().partition(" ")
        try:
            if command == "close":
                sessions.close()
            else:
                sessions.open(int(count), _PING if command == "open" else _GARBAGE)
            print("done", flush=True)
        except (OSError, AnswerError) as error:
            print(f"{error}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
