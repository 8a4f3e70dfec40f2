"""A token bucket: how many new connections a listener may take now. Pure.

    rate tokens a second --> at most a second's worth, and never less than one --> take

The acceptor asks :meth:`Bucket.room` before it accepts and waits until :meth:`Bucket.due` when
there is none; what has not been accepted waits in the listener's backlog.
"""

from __future__ import annotations

from typing import Final

SLICE: Final = 0.01
"""Seconds' worth of tokens that are waited for, so that a high rate is no wake-up for each."""
UNLIMITED: Final = 1 << 30


class Bucket:
    """``rate`` tokens a second, 0 for as many as anybody wants; full at the beginning."""

    def __init__(self, rate: float, now: float) -> None:
        self.rate = rate
        self._most = max(rate, 1.0)
        self._tokens = self._most
        self._at = now

    def room(self, now: float) -> int:
        """Whole tokens that are there."""
        if self.rate == 0:
            return UNLIMITED
        self._tokens = min(self._tokens + (now - self._at) * self.rate, self._most)
        self._at = now
        return int(self._tokens)

    def take(self, count: int) -> None:
        """Use tokens that were there."""
        if self.rate:
            self._tokens -= count

    def due(self) -> float:
        """When there will be a token again, or a slice of them; for a bucket that is empty."""
        wanted = max(1.0, self.rate * SLICE)
        # A little more than exactly: what is computed there must not fall short of a whole one.
        return self._at + (wanted - self._tokens) / self.rate + 1e-6
