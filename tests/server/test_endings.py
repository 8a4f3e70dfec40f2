"""The commands kill and cancel: what they take, when they are answered, and what they say."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from server.commands import Commands
from server.endings import Endings
from server.loop import Loop
from shm import orders
from shm.orders import Order, Wish
from shm.segment import Segment
from shm.sessions import SessionTable
from tests.helpers.wait import wait_until


class Log:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, dict[str, Any]]] = []

    def info(self, text: str, **fields: Any) -> None:
        self.lines.append((text, fields))


class Stage:
    """Six sessions of two workers, and commands that are given one by one."""

    def __init__(self, segment: Segment, table: SessionTable) -> None:
        self.segment = segment
        self.log = Log()
        for worker in (0, 1, 0, 1, 0, 1):
            table.claim(b"127.0.0.1:1", worker, bytes(20))
        for row, number in ((0, 3), (1, 7)):
            segment.rows[row].number, segment.rows[row].pid = number, 100 + row

    def carry_out(self, *workers: int) -> None:
        for worker in workers:
            for order in orders.waiting(self.segment, worker):
                orders.done(self.segment, order)

    def run(self, command: str, arguments: Any, *workers: int) -> Any:
        """The answer, while the workers do what they are told."""
        loop, answers = Loop(), []
        endings = Endings(loop, self.segment, self.log)
        commands = Commands(None)
        commands.add("kill", endings.kill)
        commands.add("cancel", endings.cancel)

        def answer(line: bytes) -> None:
            answers.append(json.loads(line))
            loop.stop()

        line = json.dumps({"command": command, "arguments": arguments}).encode()
        commands.run(line, answer)
        if not answers:
            # Between two looks, however long they take: timers fire in the order of their times.
            loop.after(0.001, lambda: self.carry_out(*workers))
            loop.run()
        loop.close()
        (found,) = answers
        return found


@pytest.fixture
def stage(segment: Segment) -> Iterator[Stage]:
    table = SessionTable(segment)
    yield Stage(segment, table)
    table.close()


@pytest.mark.parametrize(
    ("command", "key", "said"),
    [
        ("kill", "killed", "ending sessions"),
        ("cancel", "cancelled", "cancelling the requests of sessions"),
    ],
)
def test_answered_when_it_is_done(stage: Stage, command: str, key: str, said: str) -> None:
    found = stage.run(command, {"ids": [1, 2, 2, 9, 4]}, 0, 1)
    assert found == {"ok": True, "answer": {key: 3}}
    assert stage.log.lines == [(said, {"count": 3, "sessions": "1, 2, 4", "command": True})]


@pytest.mark.parametrize("ids", [[], [8], [2**53 - 1]])
def test_nothing_to_do_is_answered_at_once(stage: Stage, ids: list[int]) -> None:
    assert stage.run("kill", {"ids": ids}) == {"ok": True, "answer": {"killed": 0}}
    assert stage.log.lines == []


def test_one_that_is_not_ended_in_time(stage: Stage) -> None:
    found = stage.run("kill", {"ids": [2], "timeout": 0.02})
    text = "session 2 did not end within 0.02 s: worker 7 (process 101) does not answer"
    assert found == {"ok": False, "error": f"{text}; it ends as soon as that goes on"}
    assert list(orders.waiting(stage.segment, 1)) == [Order(2, Wish.KILL)]


def test_some_that_are_not_ended_in_time(stage: Stage) -> None:
    found = stage.run("kill", {"ids": [1, 2, 3, 4], "timeout": 0.1}, 0)
    text = "2 of 4 sessions did not end within 0.1 s, such as session 2 of worker 7 (process 101)"
    assert found == {"ok": False, "error": f"{text}; they end as soon as their workers go on"}


def test_requests_that_are_not_cancelled_in_time(stage: Stage) -> None:
    found = stage.run("cancel", {"ids": [1], "timeout": 0.02})
    text = "the requests of session 1 were not cancelled within 0.02 s: worker 3 (process 100)"
    text += " does not answer; they are as soon as that goes on"
    assert found == {"ok": False, "error": text}
    found = stage.run("cancel", {"ids": [1, 2], "timeout": 0.02})
    text = "the requests of 2 of 2 sessions were not cancelled within 0.02 s, such as those of "
    text += "session 1 of worker 3 (process 100); they are as soon as their workers go on"
    assert found == {"ok": False, "error": text}


def test_the_log_names_ten(segment: Segment) -> None:
    large = Segment.create(f"{segment.name}-2", 32, 2)
    table = SessionTable(large)
    stage = Stage(large, table)
    for _ in range(6):
        table.claim(b"127.0.0.1:1", 0, bytes(20))
    stage.run("kill", {"ids": list(range(1, 13))}, 0, 1)
    ((_, fields),) = stage.log.lines
    assert fields["count"] == 12
    assert fields["sessions"] == "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, ..."
    table.close()
    large.close()


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"ids": 5},
        {"ids": ["5"]},
        {"ids": [0]},
        {"ids": [True]},
        {"ids": [1.5]},
        {"ids": [2**53]},
        {"ids": [1], "timeout": 0},
        {"ids": [1], "timeout": "5"},
        {"ids": [1], "timeout": None},
        {"ids": [1], "timeout": float("inf")},
        {"ids": [1], "now": 1},
    ],
)
def test_wrong_arguments(stage: Stage, arguments: dict[str, Any]) -> None:
    error = 'expected {"ids": [ids of sessions], "timeout": seconds above 0}'
    assert stage.run("kill", arguments) == {"ok": False, "error": error}
    assert list(orders.waiting(stage.segment, 0)) == []


def test_the_answer_waits_for_the_last(stage: Stage) -> None:
    """Only that one of two workers is done is no answer."""
    loop = Loop()
    endings = Endings(loop, stage.segment, stage.log)
    answers: list[bytes] = []

    def answer(line: bytes) -> None:
        answers.append(line)
        loop.stop()

    endings.kill({"ids": [1, 2]}).to(answer)
    thread = threading.Thread(target=loop.run)
    thread.start()
    stage.carry_out(0)
    wait_until(lambda: not list(orders.waiting(stage.segment, 0)), what="worker 0")
    assert answers == []
    stage.carry_out(1)
    thread.join()
    assert json.loads(answers[0])["answer"] == {"killed": 2}
    loop.close()
