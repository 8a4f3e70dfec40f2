"""Which commands there are, and that changes are for servers that run."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from server import duties
from server.loop import Loop


class Changes:
    """Keeps what it is asked for and answers when the test says so."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.answer: Callable[[dict[str, Any]], None] = lambda _: None

    def reload(self, answer: Callable[[dict[str, Any]], None]) -> None:
        self.asked.append("reload")
        self.answer = answer

    def restart_workers(self, answer: Callable[[dict[str, Any]], None]) -> None:
        self.asked.append("restart")
        self.answer = answer

    def resize(self, by: int, answer: Callable[[dict[str, Any]], None]) -> None:
        self.asked.append(by)
        self.answer = answer

    def resize_to(self, count: int, answer: Callable[[dict[str, Any]], None]) -> None:
        self.asked.append(("to", count))
        self.answer = answer


def run(phase: str, changes: Changes, command: str, **arguments: Any) -> list[Any]:
    """The answers, which may come later."""
    answers: list[Any] = []
    server: Any = SimpleNamespace(
        phase=lambda: phase,
        changes=changes,
        stop=lambda: 4.7,
        resources=SimpleNamespace(segment=None),
    )
    line = json.dumps({"command": command, "arguments": arguments}).encode()
    loop = Loop()
    commands = duties.commands(server, loop, None)
    commands.run(line, lambda answer: answers.append(json.loads(answer)))
    loop.close()
    return answers


@pytest.mark.parametrize(
    ("command", "arguments", "asked"),
    [
        ("reload", {}, "reload"),
        ("restart-workers", {}, "restart"),
        ("workers", {"by": 1}, 1),
        ("workers", {"by": -3}, -3),
        ("workers", {"to": 4}, ("to", 4)),
    ],
)
def test_changes_are_answered_when_they_are_over(
    command: str, arguments: dict[str, Any], asked: Any
) -> None:
    changes = Changes()
    answers = run("running", changes, command, **arguments)
    assert (changes.asked, answers) == ([asked], [])
    changes.answer({"ok": True, "workers": 3})
    assert answers == [{"ok": True, "answer": {"workers": 3}}]


def test_why_a_change_came_to_nothing() -> None:
    changes = Changes()
    answers = run("running", changes, "reload")
    changes.answer({"ok": False, "error": "no bees", "live": []})
    assert answers == [{"ok": False, "error": "no bees"}]


@pytest.mark.parametrize("phase", ["booting", "filling", "stopping"])
def test_changes_wait_for_a_server_that_runs(phase: str) -> None:
    changes = Changes()
    error = f"the server is not ready for that: it is {phase}"
    assert run(phase, changes, "reload") == [{"ok": False, "error": error}]
    assert changes.asked == []


@pytest.mark.parametrize(
    "arguments",
    [{}, {"by": 0}, {"by": True}, {"by": "1"}, {"by": [1]}, {"to": 0}, {"by": 1, "to": 2}],
)
def test_a_number_of_workers_is_one(arguments: dict[str, Any]) -> None:
    changes = Changes()
    error = 'expected {"to": COUNT} or {"by": MORE}, below 0 for fewer'
    assert run("running", changes, "workers", **arguments) == [{"ok": False, "error": error}]
    assert changes.asked == []


def test_a_stop_says_how_long_it_may_take() -> None:
    (answer,) = run("booting", Changes(), "stop")
    assert answer["answer"]["within"] == 4.7
