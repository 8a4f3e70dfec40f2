"""A small HTTP server: many visitors at a time, none of whom is ever waited for.

    listener --> Visitor --a request (h11)--> answer() --> Page --> written --> the next request
                   | no whole request, or the answer not taken, in time; too long: sent away

Everything happens in callbacks of one loop. A visitor is read or written to, never both, and his
next request is taken up in a turn of its own. When MOST are there, somebody new takes the place of
the one who has been there longest without asking: who opens connections and says nothing keeps
nobody out.
"""

from __future__ import annotations

import contextlib
import math
import socket
import time
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Any, Final

import h11

from server.loop import Loop
from server.metrics.pages import Page, told

MOST: Final = 64
"""Visitors at a time."""
LONGEST: Final = 16 * 1024
"""Bytes of a request with all its headers."""
PATIENCE: Final = 10.0
"""Seconds that a visitor may take to say a request, or to take the answer."""
REST: Final = 120.0
"""Seconds between two requests of a visitor."""
FAREWELL: Final = 1.0
"""Seconds that who is sent away has to read why."""
RETRY: Final = 0.5
"""Seconds until accepting is tried again when the system was out of something."""
SWEEP: Final = 0.25
"""Seconds between two looks at whose time is over: a timer for each request would be too many."""

_BATCH: Final = 16
_CHUNK: Final = 16 * 1024
_VERSIONS: Final = (b"1.0", b"1.1")

Answer = Callable[[str, str, str], Page]
"""The page for a method, a target and an Accept."""


class Site:
    """The listening sockets and everybody who has connected; it does not own the sockets."""

    def __init__(
        self,
        loop: Loop,
        listeners: Sequence[socket.socket],
        answer: Answer,
        log: Any,
        *,
        patience: float = PATIENCE,
        rest: float = REST,
        most: int = MOST,
    ) -> None:
        self.loop = loop
        self.answer = answer
        self.patience = patience
        self.rest = rest
        self._most = most
        self._log = log
        self._listeners = listeners
        self._visitors: dict[Visitor, None] = {}
        self._open = True
        for listener in listeners:
            listener.setblocking(False)
            self._listen(listener)
        self._sweep()

    def close(self) -> None:
        """Let everybody go, answered or not."""
        self._open = False
        for listener in self._listeners:
            self.loop.unwatch(listener)
        for visitor in list(self._visitors):
            visitor.close()

    def _sweep(self) -> None:
        """Send those away whose time is over, now and from now on."""
        if not self._open:
            return
        now = time.monotonic()
        for visitor in [each for each in self._visitors if each.deadline <= now]:
            visitor.close()
        self.loop.after(SWEEP, self._sweep)

    def forget(self, visitor: Visitor) -> None:
        """He has left."""
        self._visitors.pop(visitor, None)

    def _listen(self, listener: socket.socket) -> None:
        if self._open:
            self.loop.watch(listener, lambda: self._accept(listener))

    def _accept(self, listener: socket.socket) -> None:
        for _ in range(_BATCH):
            try:
                end, _ = listener.accept()
            except (BlockingIOError, ConnectionError):
                return
            except OSError as error:
                self._log.error("metrics: cannot accept for now", reason=error.strerror)
                self._make_room()
                self.loop.unwatch(listener)
                self.loop.after(RETRY, lambda: self._listen(listener))
                return
            if len(self._visitors) >= self._most:
                self._make_room()
            if len(self._visitors) >= self._most:
                end.close()
                continue
            end.setblocking(False)
            visitor = Visitor(self, end)
            self._visitors[visitor] = None
            visitor.begin()

    def _make_room(self) -> None:
        """Send away who has been here longest and has nothing to get."""
        silent = next((visitor for visitor in self._visitors if visitor.silent), None)
        if silent is not None:
            silent.close()


class Visitor:
    """One connection."""

    def __init__(self, site: Site, end: socket.socket) -> None:
        self._site = site
        self._end = end
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=LONGEST)
        self._output: list[memoryview] = []
        self._writing = False
        self.deadline = math.inf
        """When he is sent away, unless he says or takes something."""
        self.silent = True
        """He has not asked for anything that he has not got."""

    def begin(self) -> None:
        """Listen to him."""
        self._await(self._read, self._site.patience)

    def close(self) -> None:
        """Hang up."""
        self._pause()
        self._end.close()
        self._site.forget(self)

    def _pause(self) -> None:
        """Neither read nor write."""
        self._site.loop.unwatch(self._end)
        self._writing = False

    def _await(
        self, callback: Callable[[], None], seconds: float, *, writing: bool = False
    ) -> None:
        """Call back when he says or takes something; hang up when he does not."""
        self._site.loop.watch(self._end, callback, writing=writing)
        self._writing = writing
        self.deadline = time.monotonic() + seconds

    def _read(self) -> None:
        try:
            data = self._end.recv(_CHUNK)
        except BlockingIOError:
            return
        except OSError:
            self.close()
            return
        if not self._http.trailing_data[0]:
            # Until now he may have rested.
            self.deadline = time.monotonic() + self._site.patience
        self._http.receive_data(data)
        self._take_up()

    def _take_up(self) -> None:
        """Answer what has come, when it is a whole request."""
        try:
            event = self._http.next_event()
            if isinstance(event, h11.Request):
                # What follows is no part of any answer.
                self._reply(event, whole=isinstance(self._http.next_event(), h11.EndOfMessage))
            elif isinstance(event, h11.ConnectionClosed):
                self.close()
        except h11.RemoteProtocolError as error:
            self._refuse(error)

    def _go_on(self) -> None:
        """Take up the next request, or wait for it."""
        if self._end.fileno() < 0:
            return
        begun = self._http.trailing_data[0]
        self._await(self._read, self._site.patience if begun else self._site.rest)
        if begun:
            self._take_up()

    def _reply(self, request: h11.Request, *, whole: bool) -> None:
        method, target = request.method.decode("ascii"), request.target.decode("ascii")
        accept = ", ".join(
            value.decode("latin-1") for name, value in request.headers if name == b"accept"
        )
        if request.http_version in _VERSIONS:
            page = self._site.answer(method, target, accept)
        else:
            page = told(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, "expected HTTP/1.1")
            whole = False
        self._send(page, with_body=method != "HEAD", last=not whole)

    def _refuse(self, error: h11.RemoteProtocolError) -> None:
        """Say why, to somebody who does not speak HTTP."""
        if self._http.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            self.close()
            return
        try:
            status = HTTPStatus(error.error_status_hint)
        except ValueError:
            status = HTTPStatus.BAD_REQUEST
        self._send(told(status, str(error)), with_body=True, last=True)

    def _send(self, page: Page, *, with_body: bool, last: bool) -> None:
        headers = {
            "Content-Type": page.kind,
            "Content-Length": str(len(page.body)),
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
            **page.headers,
            **({"Connection": "close"} if last else {}),
        }
        http = self._http
        response = h11.Response(
            status_code=page.status, reason=page.status.phrase, headers=list(headers.items())
        )
        parts = [http.send(response)]
        if with_body:
            parts.append(http.send(h11.Data(data=page.body)))
        parts.append(http.send(h11.EndOfMessage()))
        self._output = [memoryview(part) for part in parts if part]
        self._pause()
        self.silent = False
        self._write()

    def _write(self) -> None:
        try:
            sent = self._end.sendmsg(self._output)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.close()
            return
        while self._output and sent >= len(self._output[0]):
            sent -= len(self._output.pop(0))
        if self._output:
            self._output[0] = self._output[0][sent:]
            if not self._writing:
                self._await(self._write, self._site.patience, writing=True)
            return
        self._pause()
        self.silent = True
        if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
            self._site.loop.after(0, self._go_on)
        else:
            self._say_goodbye()

    def _say_goodbye(self) -> None:
        """Close in such a way that he can still read what was said."""
        with contextlib.suppress(OSError):
            self._end.shutdown(socket.SHUT_WR)
        self._await(self._ignore, FAREWELL)

    def _ignore(self) -> None:
        try:
            if self._end.recv(_CHUNK):
                return
        except BlockingIOError:
            return
        except OSError:
            pass
        self.close()
