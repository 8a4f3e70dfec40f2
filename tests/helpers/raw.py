"""A raw IPROTO client: bytes out, packets in, nothing hidden.

Wire and whole-server tests use it wherever a connector would smooth over what is being tested.
Data flows: ``send`` writes bytes as they are; ``packet`` reads one packet with whatever form its
length has and returns it decoded *and* raw; ``request`` and the methods below it number their
requests and wait for the answer with the same sync. Every wait has a deadline in seconds.
"""

from __future__ import annotations

import base64
import hashlib
import select as polling
import socket
import struct
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgpack

from tests.helpers.closing import Closing

GREETING_SIZE: Final = 128
ERROR_BIT: Final = 0x8000

SELECT: Final = 1
CALL_16: Final = 6
AUTH: Final = 7
EVAL: Final = 8
CALL: Final = 10
PING: Final = 64
ID: Final = 73

Address = str | tuple[str, int]
"""Path of a unix socket, or host and port."""

_WIDTHS: Final = {0xCC: ">B", 0xCD: ">H", 0xCE: ">I", 0xCF: ">Q"}


class ClosedError(Exception):
    """The server ended the connection; ``rest`` is what came since the last whole packet."""

    def __init__(self, rest: bytes) -> None:
        super().__init__(f"connection closed by the server, unread: {rest.hex(' ')!r}")
        self.rest = rest


class RequestError(Exception):
    """An error answer to a request that was expected to succeed."""

    def __init__(self, packet: Packet) -> None:
        super().__init__(f"{packet.code}: {packet.text}")
        self.packet = packet


@dataclass(frozen=True)
class Packet:
    """One packet from the server, decoded, with the bytes it was made of."""

    header: Mapping[int, Any]
    body: Mapping[int, Any]
    body_bytes: bytes
    length_bytes: bytes

    @property
    def type(self) -> int:
        """Header key 0 as sent."""
        return int(self.header[0])

    @property
    def sync(self) -> int:
        return int(self.header[1])

    @property
    def schema_version(self) -> int:
        return int(self.header[5])

    @property
    def is_error(self) -> bool:
        return self.type & ERROR_BIT != 0

    @property
    def code(self) -> int:
        """Error code, 0 for success."""
        return self.type & ~ERROR_BIT if self.is_error else 0

    @property
    def text(self) -> str:
        """Error message, empty for success."""
        return str(self.body.get(0x31, ""))

    @property
    def stack(self) -> list[Mapping[int, Any]]:
        """Error objects of key 0x52, outermost first."""
        stack: list[Mapping[int, Any]] = self.body[0x52][0]
        return stack

    @property
    def data(self) -> list[Any]:
        """Returned values of a success; raises RequestError for an error."""
        if self.is_error:
            raise RequestError(self)
        data: list[Any] = self.body[0x30]
        return data


def pack(value: object) -> bytes:
    """MessagePack of a value; text that came from bad UTF-8 goes back to its bytes."""
    packed: bytes = msgpack.packb(value, unicode_errors="surrogateescape")
    return packed


def frame(payload: bytes) -> bytes:
    """A packet: ``ce`` and four bytes of length before the payload."""
    return b"\xce" + struct.pack(">I", len(payload)) + payload


def request(header: Mapping[int, object], body: object | None = None) -> bytes:
    """A whole packet of header and, when there is one, body."""
    return frame(pack(header) + (pack(body) if body is not None else b""))


def ping(sync: int) -> bytes:
    """A whole PING packet."""
    return request({0: PING, 1: sync})


def scramble(salt: bytes, password: str) -> bytes:
    """chap-sha1 proof of a password for a greeting's salt."""
    step1 = hashlib.sha1(password.encode()).digest()
    step2 = hashlib.sha1(step1).digest()
    mix = hashlib.sha1(salt[:20] + step2).digest()
    return bytes(a ^ b for a, b in zip(step1, mix, strict=True))


class Raw(Closing):
    """A connection. ``deadline`` is the default number of seconds for every wait."""

    def __init__(
        self,
        address: Address,
        deadline: float = 10.0,
        *,
        greet: bool = True,
        receive: int = 0,
        source: str = "",
        first: bytes = b"",
    ) -> None:
        """Connect; with ``greet`` read the greeting; ``receive`` bounds the receive buffer.

        ``source`` is the address to connect from, ``first`` is sent before anything is read.
        """
        self.deadline = deadline
        self._buffer = bytearray()
        self._sync = 0
        family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
        if isinstance(address, tuple) and ":" in address[0]:
            family = socket.AF_INET6
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        self.socket.settimeout(deadline)
        if receive:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
        if source:
            self.socket.bind((source, 0))
        try:
            self.socket.connect(address)
            self.socket.sendall(first)
            if family != socket.AF_UNIX:
                self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.greeting = self.take(GREETING_SIZE) if greet else b""
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self.socket.close()

    @property
    def name(self) -> str:
        """This end's address as ``peer`` of the server has to show it."""
        if self.socket.family == socket.AF_UNIX:
            return "unix/:(socket)"
        host, port = self.socket.getsockname()[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    @property
    def salt(self) -> bytes:
        return base64.b64decode(self.greeting[64:108])[:20]

    # Bytes

    def send(self, data: bytes) -> None:
        """All of ``data``; raises ClosedError when the server has ended the connection."""
        self.socket.settimeout(self.deadline)
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError) as error:
            raise ClosedError(bytes(self._buffer)) from error

    def take(self, size: int, deadline: float | None = None) -> bytes:
        """Exactly ``size`` bytes; ClosedError at end of file, TimeoutError at the deadline."""
        if len(self._buffer) < size:
            end = time.monotonic() + (self.deadline if deadline is None else deadline)
            while len(self._buffer) < size:
                self._receive(end)
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data

    def quiet(self) -> bool:
        """Whether nothing, not even an end of file, has come since the last packet."""
        return not self._buffer and not polling.select([self.socket], [], [], 0)[0]

    def wait_closed(self, deadline: float | None = None) -> None:
        """Wait for the end of the connection; anything that comes instead is a failure."""
        try:
            extra = self.take(1, deadline)
        except ClosedError:
            return
        raise AssertionError(f"expected the end of the connection, got {extra.hex()} and more")

    def _receive(self, end: float) -> None:
        left = end - time.monotonic()
        if left <= 0:
            raise TimeoutError(f"no answer in time; so far: {bytes(self._buffer[:64]).hex(' ')}")
        self.socket.settimeout(left)
        try:
            chunk = self.socket.recv(1 << 18)
        except ConnectionResetError:
            chunk = b""
        if not chunk:
            raise ClosedError(bytes(self._buffer))
        self._buffer += chunk

    # Packets

    def packet(self, deadline: float | None = None) -> Packet:
        """The next packet; any form of its length is understood."""
        end = time.monotonic() + (self.deadline if deadline is None else deadline)
        while (found := self._whole()) is None:
            self._receive(end)
        return found

    def packets(self, count: int) -> Iterator[Packet]:
        """The next ``count`` packets."""
        for _ in range(count):
            yield self.packet()

    def _whole(self) -> Packet | None:
        if not self._buffer:
            return None
        first = self._buffer[0]
        form = _WIDTHS.get(first)
        width = 1 + (struct.calcsize(form) if form else 0)
        assert first < 0x80 or form, f"length of a packet begins with {first:02x}"
        if len(self._buffer) < width:
            return None
        size = struct.unpack_from(form, self._buffer, 1)[0] if form else first
        if len(self._buffer) < width + size:
            return None
        length = bytes(self._buffer[:width])
        payload = bytes(self._buffer[width : width + size])
        del self._buffer[: width + size]
        return decode(length, payload)

    # Requests

    def next_sync(self) -> int:
        """A number no request of this connection had."""
        self._sync += 1
        return self._sync

    def request(
        self, kind: int, body: object | None = None, deadline: float | None = None
    ) -> Packet:
        """Send one request and return its answer, which must be the next packet."""
        sync = self.next_sync()
        self.send(request({0: kind, 1: sync}, body))
        answer = self.packet(deadline)
        assert answer.sync == sync, f"answer to {answer.sync}, expected {sync}"
        return answer

    def ping(self) -> Packet:
        answer = self.request(PING)
        assert (answer.type, answer.body) == (0, {}), answer
        return answer

    def call(self, name: str, *arguments: object) -> Packet:
        return self.request(CALL, {0x22: name, 0x21: list(arguments)})

    def call16(self, name: str, *arguments: object) -> Packet:
        return self.request(CALL_16, {0x22: name, 0x21: list(arguments)})

    def eval(self, source: str, *arguments: object) -> Packet:
        return self.request(EVAL, {0x27: source, 0x21: list(arguments)})

    def select(self, space: int, key: Sequence[object] = (), **fields: int) -> Packet:
        """SELECT; ``fields`` may hold index, offset, limit, iterator."""
        keys = {"index": 0x11, "limit": 0x12, "offset": 0x13, "iterator": 0x14}
        body: dict[int, object] = {0x10: space, 0x12: 0xFFFFFFFF, 0x20: list(key)}
        body.update({keys[name]: value for name, value in fields.items()})
        return self.request(SELECT, body)

    def auth(self, user: str, password: str) -> Packet:
        proof = scramble(self.salt, password)
        return self.request(AUTH, {0x23: user, 0x21: ["chap-sha1", proof]})

    def id(self, version: int = 6, features: Sequence[int] = (2,)) -> Packet:
        return self.request(ID, {0x54: version, 0x55: list(features)})


def decode(length: bytes, payload: bytes) -> Packet:
    """A packet of its length's bytes and its payload."""
    try:
        return _decode(length, payload, dict)
    except TypeError:  # a key of a map is a map or an array
        return _decode(length, payload, list)


def _decode(length: bytes, payload: bytes, maps: Callable[[Any], Any]) -> Packet:
    """The packet; ``maps`` makes a map inside an answer's values of its pairs."""
    unpacker = msgpack.Unpacker(
        raw=False,
        strict_map_key=False,
        unicode_errors="surrogateescape",
        max_buffer_size=len(payload) or 1,
        object_pairs_hook=None if maps is dict else maps,
    )
    unpacker.feed(payload)
    header = dict(unpacker.unpack())
    start = unpacker.tell()
    body = dict(unpacker.unpack()) if start < len(payload) else {}
    assert unpacker.tell() == len(payload), "bytes behind the body of an answer"
    return Packet(header, body, payload[start:], length)
