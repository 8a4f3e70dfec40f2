"""Deals lost sessions out to the workers, which run on_disconnect for them. Part of the crew.

:mod:`server.lost` decides who gets which; here rows are read and messages sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from server.children import Child
from server.loop import Loop
from server.lost import MOST_ENDS, LostSessions
from server.post import Post
from shm.channel import ChannelClosedError
from shm.segment import Segment
from shm.sessions import LostSession

DEAL_PERIOD: Final = 0.02
"""Seconds between two looks whether a worker has begun all lost sessions it was given."""


class Dealer:
    """All lost sessions, and the workers that may get them."""

    def __init__(self, loop: Loop, segment: Segment, log: Any, posts: Sequence[Post]) -> None:
        self._loop = loop
        self._segment = segment
        self._log = log
        self._posts = posts
        self._lost = LostSessions()
        self._dealing = False
        self.stopping = False
        """The server stops: every worker gets all that its channel takes."""

    def add(self, sessions: Sequence[LostSession]) -> None:
        """Take over what a dead worker held, but for sessions of the control socket."""
        control = self._segment.header.control_listener
        self._lost.add(session for session in sessions if session.listener != control)

    def take_back(self, post: Post, by_itself: bool) -> None:
        """Let the lost sessions that a dead worker has not begun wait again, or give them up."""
        self._look()
        row = self._segment.rows[post.index]
        begun, running = int(row.lost_begun), int(row.lost_running)
        given_up = self._lost.ended(post.index, begun, running, by_itself=by_itself)
        if given_up:
            self._log.error(
                f"on_disconnect ended {MOST_ENDS} workers: not run for {given_up} lost sessions"
            )

    def _look(self) -> None:
        """See how far all workers are with lost sessions."""
        for post in self._posts:
            row = self._segment.rows[post.index]
            # In this order: what has begun is running, unless it is over.
            begun = int(row.lost_begun)
            self._lost.look(post.index, begun, int(row.lost_running))

    def deal(self) -> None:
        """Give lost sessions to the workers that can take them, and look again while some wait."""
        self._look()
        ready = [(post, post.child) for post in self._posts if post.child and post.child.ready]
        # Those that are about to go, or may yet, only while there is nobody else.
        takers = [(post, child) for post, child in ready if post.on_duty] or ready
        for post, child in takers:
            self._deal_to(post, child)
        left = self._lost.waiting()
        if left and not self._dealing and takers:
            self._dealing = True
            self._loop.after(DEAL_PERIOD, self._deal_again)
        elif left and self.stopping and not any(post.child for post in self._posts):
            self._log.warning("sessions ended without on_disconnect: no worker left", sessions=left)
            self._lost = LostSessions()

    def _deal_again(self) -> None:
        self._dealing = False
        self.deal()

    def _deal_to(self, post: Post, child: Child) -> None:
        """A worker that stops gets all its channel takes: it may be gone at the next look."""
        begun = int(self._segment.rows[post.index].lost_begun)
        while (batch := self._lost.deal(post.index, begun, more=self.stopping)) is not None:
            try:
                child.control.send(batch)
            except (BlockingIOError, ChannelClosedError):
                self._lost.not_sent(post.index, len(batch["sessions"]))
                return
