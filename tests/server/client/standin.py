"""A server that follows a script, for tests of the client: one connection, both protocols.

A script is a list of turns: the next bytes that are expected, and what is answered to them. What
does not come as expected is a failure of the test, told when the ``with`` block ends.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgpack

from server.client import questions

CONSOLE: Final = (
    b"Tarantool 2.6.0 (Lua console)".ljust(63)
    + b"\n"
    + b"type 'help' for interactive help".ljust(63)
    + b"\n"
)
SALT: Final = bytes(range(32))
BINARY: Final = (
    b"Tarantool 2.6.0 (Binary) 6213b5ba-ea92-43eb-9c19-7933ca2fe1e7".ljust(63)
    + b"\n"
    + b"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=".ljust(63)
    + b"\n"
)
TRUE: Final = b"---\n- true\n...\n"
NOTHING: Final = b"---\n...\n"

Turn = tuple[bytes, bytes]
"""What the client says, and what is said to it."""

ENTRANCE: Final[Sequence[Turn]] = (
    (b"\\set output yaml\n", TRUE),
    (b'require("console").delimiter("$EOF$")\n', NOTHING),
    (b"return true$EOF$\n", TRUE),
)


def said(statement: str) -> bytes:
    """A statement as the client sends it to a text console."""
    return statement.encode() + b"$EOF$\n"


def split(text: str, *statements: str) -> Turn:
    """The question where the statements of a text end, and its answer: these, one a line end."""
    ends, end = [], -1
    for one in statements:
        end += len(one.encode()) + 1
        ends.append(end)
    return said(questions.statement(questions.ends_of_statements(text))), _hex(ends)


def whole(text: str) -> Turn:
    """The same for a text that is one statement."""
    return split(text, text)


def statement(text: str, reply: bytes) -> Sequence[Turn]:
    """What comes of one statement that is typed."""
    return whole(text), (said(text), reply)


def completion(word: str, *matches: str) -> Turn:
    """The question how a word goes on, and its answer."""
    lines = "\n".join(matches).encode().hex().encode()
    return said(questions.statement(questions.completions(word))), b"---\n- hex_%s\n...\n" % lines


def _hex(ends: Sequence[int]) -> bytes:
    return b"---\n- hex_%s\n...\n" % " ".join(map(str, ends)).encode().hex().encode()


def request(sync: int, kind: int, body: dict[int, Any]) -> bytes:
    """A packet of the client."""
    packet = msgpack.packb({0: kind, 1: sync}) + msgpack.packb(body)
    return b"\xce" + len(packet).to_bytes(4, "big") + packet


def evaluation(sync: int, statement: str) -> bytes:
    """The request that runs a statement."""
    return request(sync, 8, {0x27: 'return require("console").eval(...)', 0x21: [statement]})


def response(sync: int, body: dict[int, Any], kind: int = 0) -> bytes:
    """A packet of a server."""
    packet = msgpack.packb({0: kind, 1: sync, 5: 80}) + msgpack.packb(body)
    return b"\xce" + len(packet).to_bytes(4, "big") + packet


def answer(sync: int, text: bytes) -> bytes:
    """The response to a statement."""
    return response(sync, {0x30: [text.decode()]})


def refusal(sync: int, text: str) -> bytes:
    """An error response."""
    return response(sync, {0x31: text}, 0x8000 | 42)


@contextlib.contextmanager
def standin(
    path: Path,
    greeting: bytes,
    script: Sequence[Turn],
    stays: bool = False,
    done: list[Turn] | None = None,
) -> Iterator[str]:
    """The URI of a server that goes through the script with whoever connects, then closes.

    One that ``stays`` closes when the client does, which shall say no more. Turns are put into
    ``done`` one by one.
    """
    wrong: list[str] = []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        thread = threading.Thread(
            target=_serve,
            args=(listener, greeting, script, stays, wrong, done if done is not None else []),
        )
        thread.start()
        try:
            yield f"unix/:{path}"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
    assert wrong == []


def _serve(
    listener: socket.socket,
    greeting: bytes,
    script: Sequence[Turn],
    stays: bool,
    wrong: list[str],
    done: list[Turn],
) -> None:
    with contextlib.suppress(OSError):
        client, _ = listener.accept()
        client.settimeout(20)
        with client:
            client.sendall(greeting)
            for expected, reply in script:
                got = b""
                while len(got) < len(expected):
                    data = client.recv(len(expected) - len(got))
                    if not data:
                        wrong.append(f"the end after {got!r}, expected {expected!r}")
                        return
                    got += data
                if got != expected:
                    wrong.append(f"got {got!r}, expected {expected!r}")
                    return
                client.sendall(reply)
                done.append((expected, reply))
            if stays and (more := client.recv(1000)):
                wrong.append(f"got {more!r}, expected the end")
