"""The commands ``kill`` and ``cancel``: the end of sessions, or of what runs for them.

    {ids, timeout} --> orders in the segment (shm.orders) --> a look now and then
                                                   all done:  {killed: n}, {cancelled: n}
                                                   time over: an error, which names a worker

No worker is asked, so both work while all loops are busy. A part of the supervisor;
:mod:`server.duties` has it among the commands.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from server.commands import CommandError, Later
from server.loop import Loop
from shm import orders
from shm.orders import Wish
from shm.segment import Segment

TIMEOUT: Final = 5.0
"""Seconds that workers have unless the command says otherwise."""

_FIRST_PAUSE: Final = 0.002
_LONGEST_PAUSE: Final = 0.05
_TOO_LARGE: Final = 2**53
_NAMED: Final = 10
_EXPECTED: Final = 'expected {"ids": [ids of sessions], "timeout": seconds above 0}'
_COUNT: Final = {Wish.KILL: "killed", Wish.CANCEL: "cancelled"}
_SAID: Final = {
    Wish.KILL: "ending sessions",
    Wish.CANCEL: "cancelling the requests of sessions",
}
_LATE_ONE: Final = {
    Wish.KILL: "session {id} did not end within {time:g} s: {worker} does not answer; "
    "it ends as soon as that goes on",
    Wish.CANCEL: "the requests of session {id} were not cancelled within {time:g} s: {worker} does "
    "not answer; they are as soon as that goes on",
}
_LATE_SOME: Final = {
    Wish.KILL: "{left} of {count} sessions did not end within {time:g} s, such as session {id} of "
    "{worker}; they end as soon as their workers go on",
    Wish.CANCEL: "the requests of {left} of {count} sessions were not cancelled within {time:g} s, "
    "such as those of session {id} of {worker}; they are as soon as their workers go on",
}


class Endings:
    """Gives orders for sessions, and answers when they are carried out or their time is over."""

    def __init__(self, loop: Loop, segment: Segment, log: Any) -> None:
        self._loop = loop
        self._segment = segment
        self._log = log

    def kill(self, arguments: Mapping[str, Any]) -> Later:
        """End sessions; CommandError for wrong arguments."""
        return self._order(Wish.KILL, arguments)

    def cancel(self, arguments: Mapping[str, Any]) -> Later:
        """Cancel what runs for sessions; CommandError for wrong arguments."""
        return self._order(Wish.CANCEL, arguments)

    def _order(self, wish: Wish, arguments: Mapping[str, Any]) -> Later:
        ids, timeout = _read(arguments)
        placed = orders.place(self._segment, ids, wish)
        if placed:
            named = ", ".join(map(str, placed[:_NAMED])) + (", ..." if placed[_NAMED:] else "")
            self._log.info(_SAID[wish], count=len(placed), sessions=named, command=True)
        waiting = _Waiting(self._loop, self._segment, wish, len(placed), timeout)
        waiting.look(placed, _FIRST_PAUSE)
        return waiting.answer


class _Waiting:
    """One command that is not answered yet."""

    def __init__(
        self, loop: Loop, segment: Segment, wish: Wish, count: int, timeout: float
    ) -> None:
        self.answer = Later()
        self._loop = loop
        self._segment = segment
        self._wish = wish
        self._count = count
        self._timeout = timeout
        self._deadline = time.monotonic() + timeout

    def look(self, sessions: Sequence[int], pause: float) -> None:
        """See what is left to do for these sessions, and look again after a ``pause``."""
        left = orders.left(self._segment, sessions, self._wish)
        if not left:
            self.answer.done({_COUNT[self._wish]: self._count})
        elif time.monotonic() >= self._deadline:
            self.answer.failed(self._text(left))
        else:
            longer = min(pause * 2, _LONGEST_PAUSE)
            self._loop.after(pause, lambda: self.look(left, longer))

    def _text(self, left: Sequence[int]) -> str:
        session = left[0]
        row = self._segment.rows[self._segment.slots[session % self._segment.capacity].worker]
        texts = _LATE_ONE if self._count == 1 else _LATE_SOME
        return texts[self._wish].format(
            id=session,
            time=self._timeout,
            left=len(left),
            count=self._count,
            worker=f"worker {row.number} (process {row.pid})",
        )


def _read(arguments: Mapping[str, Any]) -> tuple[list[int], float]:
    ids, timeout = arguments.get("ids"), arguments.get("timeout", TIMEOUT)
    if arguments.keys() - {"ids", "timeout"} or not isinstance(ids, list):
        raise CommandError(_EXPECTED)
    listed = all(type(each) is int and 0 < each < _TOO_LARGE for each in ids)
    if not listed or type(timeout) not in (int, float) or not 0 < timeout < math.inf:
        raise CommandError(_EXPECTED)
    return list(dict.fromkeys(ids)), float(timeout)
