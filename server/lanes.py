"""Doors that open and close together. Part of the acceptor process.

    staff    consoles and the server's own sockets: open as long as a worker can take them
    guests   everybody else: closed as well while connections wait, for the accept rate, for
             descriptors, or for a worker that has room
    proxied  guests through proxies: closed as well while too many have not said who they are

What is not accepted waits in the backlog of its listener, and the loop does not hear of it.
"""

from __future__ import annotations

import selectors
from collections.abc import Callable, Sequence

from server.doors import Door


class Lane:
    """Some doors; closed at the beginning."""

    def __init__(
        self,
        selector: selectors.BaseSelector,
        doors: Sequence[Door],
        accept: Callable[[Door], None],
    ) -> None:
        self._selector = selector
        self._doors = [(door, door.opened(accept)) for door in doors]
        self._open = False
        self.fds = frozenset(door.socket.fileno() for door in doors)
        self.until = 0.0
        """Closed until then, whatever else is the case; 0 for no such time."""

    def pause(self, until: float) -> None:
        """Close for a while."""
        self.until = max(self.until, until)

    def expire(self, now: float) -> None:
        """End the pause when it is over."""
        if self.until <= now:
            self.until = 0.0

    def set(self, wanted: bool) -> None:
        """Open or close."""
        wanted = wanted and not self.until
        if wanted == self._open:
            return
        self._open = wanted
        for door, callback in self._doors:
            if wanted:
                self._selector.register(door.socket, selectors.EVENT_READ, callback)
            else:
                self._selector.unregister(door.socket)


def made(
    selector: selectors.BaseSelector, doors: Sequence[Door], accept: Callable[[Door], None]
) -> tuple[Lane, Lane, Lane]:
    """The lanes of these doors: staff, guests, proxied."""
    kinds: tuple[list[Door], list[Door], list[Door]] = ([], [], [])
    for door in doors:
        kinds[0 if door.staff else 2 if door.proxied else 1].append(door)
    staff, guests, proxied = (Lane(selector, kind, accept) for kind in kinds)
    return staff, guests, proxied
