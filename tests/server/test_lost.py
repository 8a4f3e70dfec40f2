"""Which worker gets the sessions of a dead one, as a table of what happens and what follows."""

from __future__ import annotations

import random
from typing import Any

import msgpack
import pytest

from server.lost import BATCH, LostSessions
from shm import layout
from shm.channel import MAX_MESSAGE
from shm.sessions import LostSession


def sessions(first: int, last: int) -> list[LostSession]:
    return [LostSession(number, 0, 1, 0, b"127.0.0.1:1") for number in range(first, last + 1)]


def batch(message: dict[str, Any] | None) -> tuple[int, list[int]] | None:
    """Number of the first, and ids."""
    if message is None:
        return None
    assert message["op"] == "lost"
    return message["first"], [session[0] for session in message["sessions"]]


Step = tuple[str, tuple[Any, ...], Any]

TABLE: list[tuple[str, list[Step]]] = [
    (
        "nothing waits",
        [("deal", (0, 0), None), ("died", (0, 0, 0), 0), ("waiting", (), 0)],
    ),
    (
        "one batch at a time",
        [
            ("add", (1, 3), None),
            ("deal", (0, 0), (0, [1, 2, 3])),
            ("add", (4, 5), None),
            ("deal", (0, 2), None),
            ("deal", (0, 3), (3, [4, 5])),
            ("waiting", (), 0),
        ],
    ),
    (
        "another worker takes what the first has no time for",
        [
            ("add", (1, 2), None),
            ("deal", (0, 0), (0, [1, 2])),
            ("add", (3, 3), None),
            ("deal", (0, 0), None),
            ("deal", (1, 0), (0, [3])),
        ],
    ),
    (
        "the receiver dies: what it has not begun goes on, in order and before the rest",
        [
            ("add", (1, 4), None),
            ("deal", (0, 0), (0, [1, 2, 3, 4])),
            ("add", (5, 5), None),
            ("died", (0, 1, 0), 0),
            ("waiting", (), 4),
            ("deal", (1, 7), (0, [2, 3, 4, 5])),
        ],
    ),
    (
        "numbers of a row rise over its processes",
        [
            ("add", (1, 4), None),
            ("deal", (0, 0), (0, [1, 2, 3, 4])),
            ("died", (0, 1, 0), 0),
            ("deal", (0, 1), (4, [2, 3, 4])),
            ("died", (0, 1, 0), 0),
            ("deal", (0, 1), (7, [2, 3, 4])),
            ("died", (0, 10, 0), 0),
            ("waiting", (), 0),
        ],
    ),
    (
        "no worker is ready: they wait, and nothing is asked of the dead",
        [
            ("add", (1, 2), None),
            ("died", (0, 0, 0), 0),
            ("add", (3, 3), None),
            ("waiting", (), 3),
            ("deal", (0, 0), (0, [1, 2, 3])),
        ],
    ),
    (
        "what could not be sent waits again",
        [
            ("add", (1, 3), None),
            ("deal", (0, 0), (0, [1, 2, 3])),
            ("not_sent", (0, 3), None),
            ("waiting", (), 3),
            ("deal", (1, 0), (0, [1, 2, 3])),
        ],
    ),
    (
        "a worker that stops gets more before it has begun",
        [
            ("add", (1, BATCH + 2), None),
            ("more", (0, 0), (0, list(range(1, BATCH + 1)))),
            ("more", (0, 0), (BATCH, [BATCH + 1, BATCH + 2])),
            ("more", (0, 0), None),
            ("died", (0, BATCH + 1, 0), 0),
            ("deal", (1, 0), (0, [BATCH + 2])),
        ],
    ),
    (
        "two workers end by themselves while one runs: the rest is given up, all of it",
        [
            ("add", (1, 8), None),
            ("deal", (0, 0), (0, list(range(1, 9)))),
            ("add", (9, 10), None),
            ("ended", (0, 1, 1), 0),
            ("deal", (1, 0), (0, list(range(2, 11)))),
            ("add", (11, 12), None),
            ("ended", (1, 1, 1), 10),
            ("waiting", (), 0),
            ("deal", (0, 1), None),
        ],
    ),
    (
        "later ends begin anew",
        [
            *(("add", (1, 4), None), ("deal", (0, 0), (0, [1, 2, 3, 4])), ("ended", (0, 1, 1), 0)),
            *(("deal", (1, 0), (0, [2, 3, 4])), ("ended", (1, 1, 1), 2)),
            *(("add", (5, 8), None), ("deal", (0, 1), (4, [5, 6, 7, 8])), ("ended", (0, 5, 1), 0)),
            *(("waiting", (), 3), ("deal", (1, 1), (3, [6, 7, 8])), ("ended", (1, 4, 1), 2)),
        ],
    ),
    (
        "killed from outside is no such end",
        [
            *(("add", (1, 5), None), ("deal", (0, 0), (0, [1, 2, 3, 4, 5]))),
            *(("died", (0, 1, 1), 0), ("deal", (1, 0), (0, [2, 3, 4, 5]))),
            *(("ended", (1, 1, 1), 0), ("deal", (0, 1), (5, [3, 4, 5]))),
            *(("died", (0, 6, 1), 0), ("deal", (0, 6), (8, [4, 5]))),
            *(("died", (0, 9, 1), 0), ("waiting", (), 1)),
        ],
    ),
    (
        "what a worker had begun was over: something else ended it",
        [
            *(("add", (1, 4), None), ("deal", (0, 0), (0, [1, 2, 3, 4])), ("ended", (0, 1, 0), 0)),
            *(("deal", (0, 1), (4, [2, 3, 4])), ("ended", (0, 5, 0), 0)),
            *(("deal", (0, 5), (7, [3, 4])), ("ended", (0, 8, 0), 0), ("waiting", (), 1)),
        ],
    ),
    (
        "what a row says of a process before counts for none that was given nothing",
        [
            *(("add", (1, 4), None), ("deal", (0, 0), (0, [1, 2, 3, 4])), ("ended", (0, 1, 1), 0)),
            *(("ended", (0, 1, 1), 0), ("ended", (0, 1, 1), 0), ("waiting", (), 3)),
            *(("deal", (0, 1), (4, [2, 3, 4])), ("ended", (0, 1, 1), 0)),
            *(("look", (0, 1, 0), None), ("waiting", (), 3)),
        ],
    ),
    (
        "a worker goes through all it was given: the ends before do not count",
        [
            *(("add", (1, 4), None), ("deal", (0, 0), (0, [1, 2, 3, 4])), ("ended", (0, 1, 1), 0)),
            *(("deal", (1, 0), (0, [2, 3, 4])), ("look", (1, 3, 0), None)),
            *(("add", (5, 8), None), ("deal", (0, 1), (4, [5, 6, 7, 8])), ("ended", (0, 5, 1), 0)),
            *(("deal", (1, 3), (3, [6, 7, 8])), ("ended", (1, 4, 1), 2)),
        ],
    ),
    (
        "the same when it is seen only at that worker's end",
        [
            *(("add", (1, 4), None), ("deal", (0, 0), (0, [1, 2, 3, 4])), ("ended", (0, 1, 1), 0)),
            *(("deal", (1, 0), (0, [2, 3, 4])), ("ended", (1, 3, 0), 0)),
            *(("add", (5, 8), None), ("deal", (0, 1), (4, [5, 6, 7, 8])), ("ended", (0, 5, 1), 0)),
            ("waiting", (), 3),
        ],
    ),
    (
        "all are begun and one is not over, or all are over and one is not begun: not yet through",
        [
            *(("add", (1, 4), None), ("deal", (0, 0), (0, [1, 2, 3, 4])), ("ended", (0, 1, 1), 0)),
            *(("deal", (1, 0), (0, [2, 3, 4])), ("look", (1, 2, 0), None)),
            *(("look", (1, 3, 1), None), ("add", (5, 6), None), ("ended", (1, 3, 1), 2)),
        ],
    ),
    (
        "what could not be sent is not gone through",
        [
            *(("add", (1, 3), None), ("deal", (0, 0), (0, [1, 2, 3])), ("ended", (0, 1, 1), 0)),
            *(("deal", (1, 0), (0, [2, 3])), ("not_sent", (1, 2), None), ("look", (1, 0, 0), None)),
            *(("deal", (0, 1), (3, [2, 3])), ("ended", (0, 4, 1), 1)),
        ],
    ),
]


@pytest.mark.parametrize("steps", [steps for _, steps in TABLE], ids=[name for name, _ in TABLE])
def test_the_table(steps: list[Step]) -> None:
    lost = LostSessions()
    for number, (what, arguments, expected) in enumerate(steps):
        if what == "add":
            lost.add(sessions(*arguments))
        elif what == "deal":
            assert batch(lost.deal(*arguments)) == expected, number
        elif what == "more":
            assert batch(lost.deal(*arguments, more=True)) == expected, number
        elif what in ("ended", "died"):
            by_itself = what == "ended"
            assert lost.ended(*arguments, by_itself=by_itself) == expected, number
        else:
            assert getattr(lost, what)(*arguments) == expected, number


def test_the_longest_batch_fits_a_message() -> None:
    lost = LostSessions()
    longest = LostSession(2**53 - 1, 2**32 - 1, 255, 255, b"x" * layout.PEER_BYTES)
    lost.add([longest] * (BATCH + 1))
    message = lost.deal(0, 0)
    assert message is not None
    assert len(message["sessions"]) == BATCH
    assert len(msgpack.packb(message)) <= MAX_MESSAGE
    assert lost.waiting() == 1


@pytest.mark.parametrize("seed", range(20))
def test_each_is_begun_once_whoever_dies(seed: int) -> None:
    dice = random.Random(seed)
    lost = LostSessions()
    begun: list[int] = []
    inboxes: dict[int, list[tuple[int, int]]] = {0: [], 1: [], 2: []}
    words = {0: 0, 1: 0, 2: 0}
    added = 0
    while len(begun) < 3000:
        row = dice.randrange(3)
        act = dice.randrange(12)
        if act == 0 and added < 3000:
            lost.add(sessions(added + 1, added + 300))
            added += 300
        elif act == 1:
            assert lost.ended(row, words[row], dice.randrange(2), by_itself=False) == 0
            inboxes[row].clear()
        elif act < 6 and (found := batch(lost.deal(row, words[row], more=act == 2))):
            if act == 5:
                lost.not_sent(row, len(found[1]))
            else:
                inboxes[row] += enumerate(found[1], found[0])
        else:
            for _ in range(min(dice.randrange(60), len(inboxes[row]))):
                number, session = inboxes[row].pop(0)
                assert number >= words[row]
                words[row] = number + 1
                begun.append(session)
    assert sorted(begun) == list(range(1, 3001))
