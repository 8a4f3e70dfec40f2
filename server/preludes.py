"""Connections through a proxy whose PROXY header has not come yet. Part of the acceptor process.

    accepted --> trusted? --> header read, never waited for --> arrival with the client's address
                  | no           | malformed, ended, or late
                  v              v
                closed and counted (:class:`Fault`)

At most ``most`` wait at a time: then the listeners of proxies are closed (``full``). Only bytes of
the header are taken from the socket; what follows it is left for the worker.
"""

from __future__ import annotations

import ipaddress
import os
import selectors
import socket
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from server import proxy
from server.admission import Network
from server.handover import Arrival

PATIENCE: Final = 5.0
"""Seconds that a header has to come."""
MOST: Final = 256

_ENDED: Final = proxy.Header(0, None)
"""In the place of a header that will never come."""


class Fault(Enum):
    """Why a connection was closed; the name of the header's counter."""

    UNTRUSTED = "proxy_untrusted"
    MALFORMED = "proxy_malformed"
    LATE = "proxy_late"


@dataclass
class _Prelude:
    """One connection, what has come of its header, and until when it may wait."""

    end: socket.socket
    arrival: Arrival
    deadline: float
    data: bytes = b""


class Preludes:
    """The connections that wait, oldest first.

    ``done`` is called with each arrival whose header is whole, ``failed`` before one is closed.
    """

    def __init__(
        self,
        selector: selectors.BaseSelector,
        done: Callable[[Arrival], None],
        failed: Callable[[Fault], None],
        most: int = MOST,
    ) -> None:
        self._selector = selector
        self._done = done
        self._failed = failed
        self._most = most
        self._waiting: OrderedDict[int, _Prelude] = OrderedDict()
        self.trusted: Iterable[Network] = ()

    @property
    def room(self) -> int:
        """How many more may wait."""
        return self._most - len(self._waiting)

    def begin(self, arrival: Arrival, address: Any, now: float) -> None:
        """Read the header of an accepted connection from ``address``. Takes the descriptor over."""
        if not self._trusts(address):
            self._failed(Fault.UNTRUSTED)
            os.close(arrival.fd)
            return
        end = socket.socket(fileno=arrival.fd)
        end.setblocking(False)
        one = self._waiting[arrival.fd] = _Prelude(end, arrival, now + PATIENCE)
        self._selector.register(end, selectors.EVENT_READ, lambda: self._read(one))
        # A proxy sends the header with its first packet, which is mostly there.
        self._read(one)

    def deadline(self) -> float | None:
        """When the oldest has to be whole."""
        return next((one.deadline for one in self._waiting.values()), None)

    def expire(self, now: float) -> None:
        """Close those whose time is over."""
        while (deadline := self.deadline()) is not None and deadline <= now:
            self._fail(next(iter(self._waiting.values())), Fault.LATE)

    def close(self) -> None:
        """Close all."""
        for one in list(self._waiting.values()):
            self._forget(one).close()

    def _trusts(self, address: Any) -> bool:
        """Whether a peer's headers are believed; who reaches a unix socket is this user or root."""
        if not isinstance(address, tuple):
            return True
        host = ipaddress.ip_address(address[0])
        return any(host in network for network in self.trusted)

    def _read(self, one: _Prelude) -> None:
        """Take what has come of the header; what follows it stays in the socket."""
        try:
            came = one.end.recv(proxy.LONGEST, socket.MSG_PEEK)
        except BlockingIOError:
            return
        except OSError:
            came = b""
        try:
            header = proxy.parse(one.data + came) if came else _ENDED
        except proxy.MalformedError:
            header = _ENDED
        if header is _ENDED:
            self._fail(one, Fault.MALFORMED)
            return
        if header is None:
            one.end.recv(len(came))
            one.data += came
            return
        one.end.recv(header.length - len(one.data))
        self._forget(one).detach()
        arrival = one.arrival
        self._done(arrival if header.peer is None else arrival._replace(peer=header.peer))

    def _fail(self, one: _Prelude, fault: Fault) -> None:
        self._failed(fault)
        self._forget(one).close()

    def _forget(self, one: _Prelude) -> socket.socket:
        del self._waiting[one.arrival.fd]
        self._selector.unregister(one.end)
        return one.end
