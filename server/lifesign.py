"""Whether a server lives, for the watchdog of a service manager. Pure: beats and times in.

    every look    the beats of all workers, as a tuple of numbers
    lives         one of them has moved within ``patience`` seconds

One worker that hangs is the supervisor's to end, and costs the sessions of the others nothing;
being started anew would. So only a server without any worker that turns is dead: all of them hang,
or none can be started, and the supervisor has had ``patience`` to put that right.

Time counts as it was watched: between two looks at most twice what they are apart. Nobody's beat
moves while the machine, or the supervisor, is stopped.
"""

from __future__ import annotations


class Lifesign:
    """What was seen of the beats."""

    def __init__(self, patience: float, period: float) -> None:
        self._patience = patience
        self._most = 2 * period
        self._beats: tuple[int, ...] | None = None
        self._silent = 0.0
        self._last = 0.0

    def look(self, beats: tuple[int, ...], now: float) -> bool:
        """Note the beats; whether the server lives."""
        if beats != self._beats:
            self._beats, self._silent = beats, 0.0
        else:
            self._silent += min(now - self._last, self._most)
        self._last = now
        return self._silent <= self._patience
