"""One change of the crew: who starts when, and what a failure means."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

from server.changeover import Changeover
from server.crew import Crew
from server.post import Post


class Stage:
    """A crew that hires as it is told, and what became of the change."""

    def __init__(self, numbers: Sequence[int], free: int = 9) -> None:
        self.free = free
        self.hired: list[Post] = []
        self.dismissed: list[int] = []
        self.outcomes: list[str | None] = []
        self.change = Changeover(
            cast("Crew", self), 3, numbers, [], lambda _, reason: self.outcomes.append(reason)
        )
        self.change.begin()

    def hire(self, number: int, generation: int) -> Post:
        if len(self.hired) == self.free:
            raise OSError(0, "no row is free")
        child: Any = SimpleNamespace(ready=False)
        post = Post(10 + number, number, generation, child=child)
        self.hired.append(post)
        return post

    def dismiss(self, post: Post) -> None:
        self.dismissed.append(post.number)

    def ready(self, number: int) -> None:
        post = self.hired[number]
        cast("Any", post.child).ready = True
        self.change.ready(post)

    def numbers(self) -> list[int]:
        return [post.number for post in self.hired]


def test_the_first_alone_then_the_others_then_it_is_done() -> None:
    stage = Stage([0, 1, 2])
    assert stage.numbers() == [0]
    assert stage.hired[0].generation == 3
    stage.ready(0)
    assert stage.numbers() == [0, 1, 2]
    stage.ready(2)
    assert stage.outcomes == []
    stage.ready(1)
    assert stage.outcomes == [None]
    assert stage.dismissed == []


def test_the_ready_worker_of_somebody_else_says_nothing() -> None:
    stage = Stage([0])
    stage.change.ready(Post(0))
    assert stage.outcomes == []
    stage.ready(0)
    assert stage.outcomes == [None]


def test_a_failure_ends_it_with_what_the_worker_has_said() -> None:
    stage = Stage([0, 1])
    assert not stage.change.failed(Post(0), "another's")
    assert stage.change.failed(stage.hired[0], "app.lua:1: no")
    stage.change.ended(stage.hired[0], was_ready=False, reason="exit code 3")
    assert stage.outcomes == ["app.lua:1: no"]
    assert stage.numbers() == [0]


def test_an_end_before_all_are_ready() -> None:
    stage = Stage([0, 1, 2])
    stage.ready(0)
    stage.change.ended(Post(0), was_ready=True, reason="it hung: killed by signal 9")
    assert stage.outcomes == []
    stage.change.ended(stage.hired[0], was_ready=True, reason="it hung: killed by signal 9")
    assert stage.outcomes == [
        "new worker 0 ended before the others were ready: it hung: killed by signal 9"
    ]
    assert stage.dismissed == [0, 1, 2]
    stage.change.ended(stage.hired[1], was_ready=False, reason="killed by signal 9")
    stage.ready(2)
    assert len(stage.outcomes) == 1


def test_no_process_can_be_started() -> None:
    stage = Stage([0, 1, 2], free=2)
    stage.ready(0)
    assert stage.outcomes == ["a worker cannot be started: no row is free"]
    assert stage.dismissed == [0, 1]


def test_a_server_that_stops_says_so_and_hears_no_more_of_it() -> None:
    stage = Stage([0])
    stage.change.abandon("the server stops")
    stage.change.ended(stage.hired[0], was_ready=False, reason="exit code 0")
    stage.ready(0)
    assert stage.outcomes == ["the server stops"]
    assert stage.dismissed == []
