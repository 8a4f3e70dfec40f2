"""What a death of a worker means for the claims of the next one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from server.crew import SERVED, Crew
from server.loop import Loop
from server.post import Post
from server.spare import Spare
from shm import history, logs
from shm.segment import Segment
from shm.sessions import SessionTable
from shm.states import SlotState


class Audience:
    """A supervisor with an acceptor that answers when the test says so."""

    def __init__(self) -> None:
        self.told: list[dict[str, Any]] = []

    def worker_ready(self, post: Post) -> None:
        raise AssertionError(post)

    def worker_failed(self, post: Post, reason: str) -> None:
        raise AssertionError((post, reason))

    def worker_adjusts(self, post: Post, values: dict[str, Any]) -> None:
        raise AssertionError((post, values))

    def worker_ended(self, post: Post, was_ready: bool, reason: str) -> bool:
        self.told.append({"ended": (post.index, was_ready, reason)})
        return False

    def tell_acceptor(self, message: dict[str, Any], _fds: Iterable[int] = ()) -> bool:
        self.told.append(message)
        return True


def test_an_answer_to_an_earlier_death_frees_nothing(segment: Segment, table: SessionTable) -> None:
    def refuse(*_: object) -> Any:
        raise OSError("no order")

    audience = Audience()
    loop = Loop()
    made = Crew(loop, segment, table, logs.get(), audience, "no.module", refuse, Spare(0))
    post = made._posts[0]
    post.deaths, post.leaving = 2, True
    assert table.claim(b"p", 0, bytes(20)) == 1
    made.worker_gone(0, 1)
    assert table.exists(1)
    made.worker_gone(0, 2)
    assert not table.exists(1)
    assert table.claim(b"p", 0, bytes(20)) == 2
    made.worker_gone(0, 2)
    assert table.exists(2)
    loop.close()


def test_what_a_dead_worker_had_not_counted_is(segment: Segment, table: SessionTable) -> None:
    refuse: Any = None
    loop = Loop()
    made = Crew(loop, segment, table, logs.get(), Audience(), "no.module", refuse, Spare(0))
    post = made._posts[0]
    post.deaths, post.leaving = 1, True
    # One session still claimed, one whose slot is free already.
    assert [table.claim(b"p", 0, bytes(20)) for _ in range(2)] == [1, 2]
    segment.rows[0].assigned = 2
    segment.slots[2].id = 0
    segment.slots[2].state = SlotState.FREE
    made.worker_gone(0, 1)
    assert table.live() == 0
    loop.close()


def test_sessions_of_a_dead_worker_are_written_down_later(
    segment: Segment, table: SessionTable
) -> None:
    loop = Loop()
    refuse: Any = None
    made = Crew(loop, segment, table, logs.get(), Audience(), "no.module", refuse, Spare(0))
    session = table.claim(b"p", 0, bytes(20))
    assert session is not None
    segment.slots[session].state = SlotState.LIVE
    made._posts[0].number = 5
    made._reclaim(made._posts[0], SERVED)
    assert (table.exists(session), history.ended(segment)) == (False, [])
    made._posts[0].number = 6
    loop.after(0, loop.stop)
    loop.run()
    (row,) = history.ended(segment)
    assert (row.id, row.worker, row.reason) == (session, 5, "worker_died")
    loop.close()
