"""One connection of the load generator, outside the timed path.

``bench.client`` opens as many as a round wants. A session connects, reads the greeting, asks for
its own id, makes its batch, and has it answered once, decoded and checked, before and after the
traffic.
"""

from __future__ import annotations

import select
import socket
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from bench import packets
from bench.address import Address
from bench.packets import AnswerError
from bench.scenarios import SCENARIOS, Facts, Scenario

ANSWER_SECONDS: Final = 10.0
"""How long a server may take for an answer outside the timed path."""

_FIRST_SYNC: Final = 1_000_000
_CHUNK: Final = 262_144


@dataclass(frozen=True)
class Endpoint:
    """A server that is running: where it is and what is known of it."""

    name: str
    address: Address
    pid: int | None = None
    """Root of its process tree, None when its CPU time cannot be seen."""
    version: str = ""
    console: Address | None = None
    """Where its console is, None when it is not known."""
    canned: tuple[bytes, bytes] | None = None
    """For a server that does not think: the one request it takes and the one answer it gives."""


class Session:
    """A connection with its batch; a context manager."""

    def __init__(self, endpoint: Endpoint, source: str | None = None) -> None:
        self._canned = endpoint.canned
        self.socket = endpoint.address.connect(source)
        self.batch = b""
        self.answer_size = 0
        self._scenario: Scenario | None = None
        self._facts: Facts | None = None
        self._depth = 0
        try:
            self.socket.setblocking(False)
            self.greeting = self._receive_greeting()
        except BaseException:
            self.socket.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.socket.close()

    def prepare(self, scenario: Scenario, depth: int, cpu: tuple[int, int]) -> None:
        """Make the batch of ``depth`` requests and learn the size of its answer.

        ``cpu`` is the turns of the ``cpu`` scenario and what they come to. AnswerError when the
        server does not give the right answers.
        """
        self._scenario, self._depth = scenario, depth
        if self._canned is not None:
            self.batch = self._canned[0] * depth
        else:
            self._facts = Facts(self._own_id(), self._own_peer(), *cpu)
            self.batch = self._requests(scenario, self._facts, depth)
        self.answer_size = len(self.exchange(self.batch, depth))
        self.verify()

    def verify(self) -> None:
        """Send the batch once and check every answer; AnswerError when one is wrong."""
        raw = self.exchange(self.batch, self._depth)
        if len(raw) != self.answer_size:
            raise AnswerError(f"a batch has {len(raw)} bytes of answers, before {self.answer_size}")
        if self._canned is not None:
            if raw != self._canned[1] * self._depth:
                raise AnswerError("the echo server's answer changed")
            return
        assert self._scenario is not None
        assert self._facts is not None
        answers = [packets.decode(packet) for packet in packets.split(raw)]
        for answer in answers:
            if not self._scenario.accepts(self._facts, answer.data()):
                raise AnswerError(f"{self._scenario.name}: wrong result {answer.data()!r}")
        syncs = sorted(answer.sync for answer in answers)
        if syncs != list(range(_FIRST_SYNC, _FIRST_SYNC + self._depth)):
            raise AnswerError(f"{self._scenario.name}: the answers' syncs are not the requests'")

    def exchange(self, data: bytes, answers: int) -> bytes:
        """Send ``data`` and return the bytes of that many answers."""
        received, complete, start = bytearray(), 0, 0
        deadline, rest = time.monotonic() + ANSWER_SECONDS, memoryview(data)
        while complete < answers:
            self._await(deadline, writing=bool(rest))
            rest = rest[self._send(rest) :]
            received += self._receive(_CHUNK)
            while (size := packets.answer_size(received[start : start + 5])) is not None:
                if start + size > len(received):
                    break
                start, complete = start + size, complete + 1
        if start != len(received) or complete != answers:
            raise AnswerError(f"{len(received)} bytes came for {answers} answers of {start} bytes")
        return bytes(received)

    def _requests(self, scenario: Scenario, facts: Facts, depth: int) -> bytes:
        body = scenario.body(facts)
        syncs = range(_FIRST_SYNC, _FIRST_SYNC + depth)
        return b"".join(packets.request(scenario.kind, sync, body) for sync in syncs)

    def _own_id(self) -> int:
        known = SCENARIOS["id"]
        asked = packets.request(known.kind, 1, known.body(Facts(0, None, 0, 0)))
        data = packets.decode(self.exchange(asked, 1)).data()
        if not isinstance(data, list) or len(data) != 1 or not isinstance(data[0], int):
            raise AnswerError(f"box.session.id: wrong result {data!r}")
        return data[0]

    def _own_peer(self) -> str | None:
        if self.socket.family == socket.AF_UNIX:
            return None
        host, port = self.socket.getsockname()[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def _receive_greeting(self) -> str:
        received, deadline = b"", time.monotonic() + ANSWER_SECONDS
        while len(received) < packets.GREETING_SIZE:
            self._await(deadline, writing=False)
            received += self._receive(packets.GREETING_SIZE - len(received))
        return received[:64].decode("ascii", "replace").strip()

    def _await(self, deadline: float, *, writing: bool) -> None:
        waiter = select.poll()
        waiter.register(self.socket, select.POLLIN | (select.POLLOUT if writing else 0))
        if not waiter.poll(max(0.0, deadline - time.monotonic()) * 1000):
            raise AnswerError(f"no answer within {ANSWER_SECONDS:g} seconds")

    def _send(self, data: memoryview) -> int:
        try:
            return self.socket.send(data) if data else 0
        except BlockingIOError:
            return 0

    def _receive(self, most: int) -> bytes:
        try:
            data = self.socket.recv(most)
        except BlockingIOError:
            return b""
        except ConnectionResetError as error:
            raise AnswerError("the server reset the connection") from error
        if not data:
            raise AnswerError("the server closed the connection")
        return data
