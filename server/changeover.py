"""One change of the crew: new workers in the place of old ones, or one more.

    begin   the first new one, alone --ready--> the others --all ready--> they serve, old ones drain
              |                                      |
              +-- one fails, or ends ----------------+--> all new ones go, the old ones stay

A part of the supervisor. Nobody hears of the new workers before all are ready, so a change that
fails has not happened.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from server.crew import Crew
from server.post import Post


class Changeover:
    """A change that runs: ``numbers`` are the new workers', ``old`` the posts that drain."""

    def __init__(
        self,
        crew: Crew,
        generation: int,
        numbers: Sequence[int],
        old: Sequence[Post],
        done: Callable[[Changeover, str | None], None],
    ) -> None:
        self._crew = crew
        self.generation = generation
        self._numbers = numbers
        self.old = old
        self._done = done
        self.new: list[Post] = []
        self._over = False
        self._reason: str | None = None

    def begin(self) -> None:
        """Start the first new worker."""
        self._hire(self._numbers[:1])

    def ready(self, post: Post) -> None:
        """A worker is ready; whose it is does not matter."""
        if self._over or post not in self.new or not all(map(_is_ready, self.new)):
            return
        if len(self.new) < len(self._numbers):
            self._hire(self._numbers[len(self.new) :])
        else:
            self._finish(None)

    def failed(self, post: Post, reason: str) -> bool:
        """A worker says why it cannot serve; whether it is one of the new ones."""
        if post in self.new:
            self._reason = self._reason or reason
        return post in self.new

    def ended(self, post: Post, was_ready: bool, reason: str) -> None:
        """A worker's process has ended."""
        if post in self.new and not self._over:
            when = "before the others were ready" if was_ready else "before it was ready"
            self._give_up(f"new worker {post.number} ended {when}: {reason}")

    def abandon(self, reason: str) -> None:
        """It comes to nothing; somebody else ends the new workers."""
        self._finish(reason)

    def _hire(self, numbers: Sequence[int]) -> None:
        try:
            for number in numbers:
                self.new.append(self._crew.hire(number, self.generation))
        except OSError as error:
            self._give_up(f"a worker cannot be started: {error.strerror}")

    def _give_up(self, reason: str) -> None:
        for post in self.new:
            self._crew.dismiss(post)
        self._finish(self._reason or reason)

    def _finish(self, reason: str | None) -> None:
        self._over = True
        self._done(self, reason)


def _is_ready(post: Post) -> bool:
    return post.child is not None and post.child.ready
