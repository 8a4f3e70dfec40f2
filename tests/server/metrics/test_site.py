"""HTTP as visitors speak it, or do not: all are answered, or sent away, and none waited for."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from collections.abc import Iterator
from http import HTTPStatus
from http.client import HTTPConnection
from typing import Any

import pytest

from server.loop import Loop
from server.metrics.pages import Page
from server.metrics.site import LONGEST, Site
from tests.helpers.wait import wait_until

LARGE = b"b" * (8 << 20)
HEAD = b"GET /echo HTTP/1.1\r\nHost: bee\r\n"
SHORT = 0.3
"""Patience for those who are going to be sent away, seconds."""


def answer(method: str, target: str, accept: str) -> Page:
    if target == "/large":
        return Page(HTTPStatus.OK, "text/plain", LARGE)
    body = f"{method} {target} {accept}".encode()
    return Page(HTTPStatus.OK, "text/plain", body, {"X-Bee": "1"})


class Log:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def error(self, text: str, **_: Any) -> None:
        self.lines.append(text)


class Served:
    """A site whose loop turns in a thread."""

    def __init__(self, listener: socket.socket, **options: Any) -> None:
        self.listener = listener
        self.loop = Loop()
        self.site = Site(self.loop, [listener], answer, Log(), **options)
        self.thread = threading.Thread(target=self.loop.run)
        self.thread.start()
        self.ends: list[socket.socket] = []

    def connect(self) -> socket.socket:
        end = socket.socket(self.listener.family)
        end.settimeout(10)
        end.connect(self.listener.getsockname())
        self.ends.append(end)
        return end

    def ask(self, request: bytes) -> bytes:
        """Everything that comes until the connection is closed."""
        end = self.connect()
        end.sendall(request)
        return everything(end)

    @property
    def visitors(self) -> int:
        return len(self.site._visitors)

    @property
    def silent(self) -> list[bool]:
        return [visitor.silent for visitor in list(self.site._visitors)]

    def close(self) -> None:
        self.loop.after(0, self.loop.stop)
        for end in self.ends:
            end.close()
        # Something that wakes the loop.
        with contextlib.suppress(OSError), socket.socket(self.listener.family) as end:
            end.connect(self.listener.getsockname())
        self.thread.join(10)
        assert not self.thread.is_alive()
        self.site.close()
        self.loop.close()
        self.listener.close()


def everything(end: socket.socket) -> bytes:
    data = b""
    with contextlib.suppress(ConnectionResetError):
        while chunk := end.recv(1 << 16):
            data += chunk
    return data


@contextlib.contextmanager
def serving(listener: socket.socket | None = None, **options: Any) -> Iterator[Served]:
    served = Served(listener or socket.create_server(("127.0.0.1", 0)), **options)
    try:
        yield served
    finally:
        served.close()


@pytest.fixture
def served() -> Iterator[Served]:
    with serving() as made:
        yield made


def parts(answer: bytes) -> tuple[bytes, dict[str, str], bytes]:
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    return first.encode(), {name.lower(): value for name, value in headers.items()}, body


def test_an_answer(served: Served) -> None:
    first, headers, body = parts(
        served.ask(HEAD + b"Accept: a;q=1\r\naccept: b\r\nConnection: close\r\n\r\n")
    )
    assert first == b"HTTP/1.1 200 OK"
    assert headers == {
        "content-type": "text/plain",
        "content-length": str(len(body)),
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
        "x-bee": "1",
        "connection": "close",
    }
    assert body == b"GET /echo a;q=1, b"


@pytest.mark.parametrize("family", ["ipv4", "ipv6", "unix"])
def test_a_stock_client_asks_many_times_over_one_connection(family: str, tmp_path: Any) -> None:
    if family == "unix":
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(tmp_path / "m.sock"))
        listener.listen()
    elif family == "ipv6":
        listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
    else:
        listener = socket.create_server(("127.0.0.1", 0))
    with serving(listener) as served:
        client = HTTPConnection("bee.example")
        client.sock = served.connect()
        for number in range(20):
            client.request("GET", f"/{number}", headers={"Accept": "x"})
            response = client.getresponse()
            assert (response.status, response.read()) == (200, f"GET /{number} x".encode())
        client.request("HEAD", "/head")
        response = client.getresponse()
        assert (response.read(), response.headers["Content-Length"]) == (b"", "11")
        client.request("GET", "/last")
        assert client.getresponse().read() == b"GET /last "


def test_requests_that_come_at_once_are_answered_in_order(served: Served) -> None:
    requests = b"".join(b"GET /%d HTTP/1.1\r\nHost: b\r\n\r\n" % number for number in range(50))
    answer = served.ask(requests + b"GET /end HTTP/1.1\r\nHost: b\r\nConnection: close\r\n\r\n")
    assert [line.split()[1] for line in answer.splitlines() if line.startswith(b"GET")] == [
        *(b"/%d" % number for number in range(50)),
        b"/end",
    ]


def test_a_request_in_pieces(served: Served) -> None:
    end = served.connect()
    for place in range(len(HEAD)):
        end.sendall(HEAD[place : place + 1])
    end.sendall(b"Connection: close\r\n\r\n")
    assert everything(end).endswith(b"GET /echo ")


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
def test_who_says_no_more_gets_his_answer(served: Served, version: bytes) -> None:
    end = served.connect()
    end.sendall(b"GET /echo HTTP/" + version + b"\r\nHost: b\r\n\r\n")
    end.shutdown(socket.SHUT_WR)
    assert everything(end).endswith(b"GET /echo ")


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"12345", b"Content-Length: 5\r\n"),
        (b"", b"Content-Length: 5\r\n"),
        (b"", b"Content-Length: 99999999999\r\n"),
        (b"5\r\n12345\r\n0\r\n\r\n", b"Transfer-Encoding: chunked\r\n"),
        (b"", b"Content-Length: 5\r\nExpect: 100-continue\r\n"),
    ],
)
def test_the_body_of_a_request_is_not_read(served: Served, body: bytes, headers: bytes) -> None:
    answer = served.ask(b"POST /echo HTTP/1.1\r\nHost: b\r\n" + headers + b"\r\n" + body)
    first, told, text = parts(answer)
    assert (first, told["connection"], text) == (b"HTTP/1.1 200 OK", "close", b"POST /echo ")


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"\0\1\2\3\r\n\r\n", b"400 Bad Request"),
        (b"GET /echo\r\n\r\n", b"400 Bad Request"),
        (b"GET  /echo HTTP/1.1\r\n\r\n", b"400 Bad Request"),
        (b"GET /echo HTTP/1.1\r\n\r\n", b"400 Bad Request"),
        (b"GET /echo HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", b"400 Bad Request"),
        (b"GET /ec ho HTTP/1.1\r\nHost: a\r\n\r\n", b"400 Bad Request"),
        (HEAD + b"Bad Name: x\r\n\r\n", b"400 Bad Request"),
        (HEAD + b"X: a\0b\r\n\r\n", b"400 Bad Request"),
        (HEAD + b"Content-Length: x\r\n\r\n", b"400 Bad Request"),
        (HEAD + b"Transfer-Encoding: gzip\r\n\r\n", b"501 Not Implemented"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"505 HTTP Version Not Supported"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\r\n" * 9, b"400 Bad Request"),
        (HEAD + b"X: " + b"x" * LONGEST, b"431 Request Header Fields Too Large"),
        (b"GET /" + b"x" * LONGEST, b"431 Request Header Fields Too Large"),
        (HEAD + b"X: y\r\n" * LONGEST, b"431 Request Header Fields Too Large"),
    ],
)
def test_what_is_no_request(served: Served, request_: bytes, status: bytes) -> None:
    first, headers, body = parts(served.ask(request_))
    assert first == b"HTTP/1.1 " + status
    assert headers["connection"] == "close"
    assert body.startswith(status[4:] + b": ")
    assert served.ask(HEAD + b"Connection: close\r\n\r\n").endswith(b"GET /echo ")


def test_a_large_answer(served: Served) -> None:
    answer = served.ask(b"GET /large HTTP/1.1\r\nHost: b\r\nConnection: close\r\n\r\n")
    assert parts(answer)[2] == LARGE


def test_who_leaves_in_the_middle_harms_nobody(served: Served) -> None:
    for request in (b"", b"GE", HEAD, b"GET /large HTTP/1.1\r\nHost: b\r\n\r\n"):
        end = served.connect()
        end.sendall(request)
        end.close()
    assert served.ask(HEAD + b"Connection: close\r\n\r\n").endswith(b"GET /echo ")
    wait_until(lambda: served.visitors == 0, what="their leaving")


@pytest.mark.parametrize("request_", [b"", b"G", HEAD, HEAD + b"\r\n" + HEAD])
def test_who_never_says_a_whole_request_is_sent_away(request_: bytes) -> None:
    with serving(patience=SHORT) as served:
        assert served.ask(request_).count(b"200 OK") == request_.count(b"\r\n\r\n")
        wait_until(lambda: served.visitors == 0, what="his leaving")


def test_who_says_a_byte_now_and_then_is_sent_away() -> None:
    with serving(patience=SHORT) as served:
        end = served.connect()
        sent = threading.Event()

        def drip() -> None:
            with contextlib.suppress(OSError):
                end.sendall(HEAD)
                while not sent.wait(0.02):
                    end.sendall(b"X: y\r\n")

        thread = threading.Thread(target=drip)
        thread.start()
        everything(end)
        wait_until(lambda: served.visitors == 0, what="his leaving")
        sent.set()
        thread.join()


def test_who_does_not_take_his_answer_is_sent_away() -> None:
    with serving(patience=SHORT) as served:
        end = served.connect()
        end.sendall(b"GET /large HTTP/1.1\r\nHost: b\r\n\r\n")
        assert select.select([end], [], [], 10)[0], "no answer begins"
        # Somebody else is answered meanwhile.
        assert served.ask(HEAD + b"Connection: close\r\n\r\n").endswith(b"GET /echo ")
        wait_until(lambda: served.visitors == 0, what="his leaving")
        assert len(everything(end)) < len(LARGE)


def test_who_rests_too_long_is_sent_away() -> None:
    with serving(rest=SHORT) as served:
        end = served.connect()
        end.sendall(HEAD + b"\r\n")
        assert everything(end).endswith(b"GET /echo ")


def test_who_rests_may_take_longer_than_for_a_request() -> None:
    with serving(patience=SHORT) as served:
        end = served.connect()
        end.sendall(HEAD + b"\r\n")
        assert end.recv(4096).endswith(b"GET /echo ")
        # He who came later, and says nothing, is gone earlier.
        assert served.ask(b"") == b""
        end.sendall(HEAD + b"\r\n")
        assert end.recv(4096).endswith(b"GET /echo ")


def test_newcomers_take_the_places_of_those_who_say_nothing() -> None:
    with serving(most=8) as served:
        silent = [served.connect() for _ in range(8)]
        wait_until(lambda: served.visitors == 8, what="their coming")
        assert served.ask(HEAD + b"Connection: close\r\n\r\n").endswith(b"GET /echo ")
        assert silent[0].recv(10) == b""
        wait_until(lambda: served.visitors == 7, what="the newcomer's leaving")
        many = [served.connect() for _ in range(200)]
        many[-1].sendall(HEAD + b"\r\n")
        assert many[-1].recv(4096).endswith(b"GET /echo ")
        assert served.visitors == 8


def test_those_who_get_something_keep_their_places() -> None:
    with serving(most=2) as served:
        busy = [served.connect() for _ in range(2)]
        for end in busy:
            end.sendall(b"GET /large HTTP/1.1\r\nHost: b\r\nConnection: close\r\n\r\n")
        wait_until(lambda: served.silent == [False] * 2, what="work")
        assert served.ask(HEAD + b"\r\n") == b""
        assert [len(parts(everything(end))[2]) for end in busy] == [len(LARGE)] * 2


def test_when_the_system_has_no_descriptors_left(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(socket.socket):
        failures = 3

        def accept(self) -> Any:
            if Full.failures:
                Full.failures -= 1
                raise OSError(24, "Too many open files")
            return super().accept()

    monkeypatch.setattr("server.metrics.site.RETRY", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as bound:
        listener = Full(fileno=bound.detach())
    with serving(listener) as served:
        assert served.ask(HEAD + b"Connection: close\r\n\r\n").endswith(b"GET /echo ")
        assert served.site._log.lines == ["metrics: cannot accept for now"] * 3
