"""Rendering of large YAML documents in threads of their own, while Lua serves requests.

:mod:`workers.process` adds :meth:`Press.services` to those of the bridge; Lua's side is
workers/lua/engine/yaml_press.lua. A document is begun, fed with the bytes of its events piece by
piece, and finished; its thread renders what is there. When it is done, the document's number is
sent through a socket, which is in the poll set of Lua's loop, and the text can be taken. A document
that nobody wants any more is dropped.
"""

from __future__ import annotations

import contextlib
import itertools
import queue
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any, Final

import msgpack

from workers import rendering

NUMBER_SIZE: Final = 4
"""Bytes of a document's number in a message of the socket, the lowest first."""

SWITCH_SECONDS: Final = 0.0005
"""How long a thread goes on while Lua waits for a service of Python."""


class _DroppedError(Exception):
    """Nobody wants the text any more."""


class _Document:
    """One document in the making."""

    def __init__(self, number: int, form: tuple[bytes, ...], done: Callable[[int], None]) -> None:
        self.pieces: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self.text: bytes | None = None
        self.problem = b""
        self.dropped = False
        self._number, self._form, self._done = number, form, done
        thread = threading.Thread(target=self._render, name=f"yaml-{number}", daemon=True)
        thread.start()

    def _render(self) -> None:
        try:
            self.text = rendering.document(self._items(), *self._form)
        except _DroppedError:
            return
        except Exception as error:  # noqa: BLE001 - whoever waits is told, whatever it is
            self.problem = (str(error) or type(error).__name__).encode("utf-8", "replace")
        if not self.dropped:
            self._done(self._number)

    def _items(self) -> Iterator[Any]:
        unpacker = msgpack.Unpacker(raw=True, max_buffer_size=0)
        while (piece := self.pieces.get()) is not None:
            unpacker.feed(piece)
            for item in unpacker:
                if self.dropped:
                    raise _DroppedError
                yield item


class Press:
    """The documents in the making, and the socket that tells which are done."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._documents: dict[int, _Document] = {}
        self._reader, self._writer = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)

    def services(self) -> dict[str, Callable[..., Any]]:
        """What Lua calls, see workers/lua/engine/yaml_press.lua."""
        return {
            "press_begin": self.begin,
            "press_feed": self.feed,
            "press_finish": self.finish,
            "press_take": self.take,
            "press_drop": self.drop,
        }

    def fileno(self) -> int:
        """The descriptor that Lua reads."""
        return self._reader.fileno()

    def close(self) -> None:
        """Drop all documents, and close the socket."""
        for number in list(self._documents):
            self.drop(number)
        self._reader.close()
        self._writer.close()

    def begin(self, dialect: bytes, handle: bytes | None, prefix: bytes | None) -> int:
        """A new document; its number."""
        sys.setswitchinterval(SWITCH_SECONDS)
        number = next(self._numbers)
        form = dialect, handle or b"", prefix or b""
        self._documents[number] = _Document(number, form, self._done)
        return number

    def feed(self, number: float, piece: bytes) -> bool:
        """More events of a document."""
        self._documents[int(number)].pieces.put(piece)
        return True

    def finish(self, number: float) -> bool:
        """These were all events."""
        self._documents[int(number)].pieces.put(None)
        return True

    def take(self, number: float) -> bytes | tuple[None, bytes]:
        """The text of a document that is done, or what went wrong."""
        document = self._documents.pop(int(number))
        return (None, document.problem) if document.text is None else document.text

    def drop(self, number: float) -> bool:
        """Forget a document, done or not."""
        document = self._documents.pop(int(number), None)
        if document is not None:
            document.dropped = True
            document.pieces.put(b"\x06")
            document.pieces.put(None)
        return True

    def _done(self, number: int) -> None:
        with contextlib.suppress(OSError):
            self._writer.sendall(number.to_bytes(NUMBER_SIZE, "little"))
