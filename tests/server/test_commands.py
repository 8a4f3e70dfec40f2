"""One line in, one line out: which function is called, and what its caller is told."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from server.commands import CommandError, Commands, Later


class Log:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.errors: list[str] = []

    def error(self, text: str, **fields: Any) -> None:
        self.errors.append(f"{text} {fields}")


def refuse(_: Mapping[str, Any]) -> dict[str, Any]:
    raise CommandError("not today")


def fail(_: Mapping[str, Any]) -> dict[str, Any]:
    raise ZeroDivisionError


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def commands(log: Log) -> Commands:
    made = Commands(log)
    made.add("echo", lambda arguments: {"given": arguments})
    made.add("refuse", refuse)
    made.add("fail", fail)
    return made


def run(commands: Commands, line: bytes) -> Any:
    answers: list[bytes] = []
    commands.run(line, answers.append)
    (answer,) = answers
    assert answer.endswith(b"\n")
    assert answer.count(b"\n") == 1
    return json.loads(answer)


FORM = 'expected a line {"command": NAME, "arguments": {...}}'
KNOWN = "expected one of echo, fail, refuse"


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        (b'{"command": "echo"}', {"ok": True, "answer": {"given": {}}}),
        (
            b'{"command": "echo", "arguments": {"a": [1]}}',
            {"ok": True, "answer": {"given": {"a": [1]}}},
        ),
        (b'{"command": "refuse"}', {"ok": False, "error": "not today"}),
        (
            b'{"command": "fail"}',
            {"ok": False, "error": "the server could not do it: see its log"},
        ),
        (b'{"command": "none"}', {"ok": False, "error": f"no command 'none', {KNOWN}"}),
        (b'{"command": 1}', {"ok": False, "error": FORM}),
        (b'{"command": "echo", "arguments": []}', {"ok": False, "error": FORM}),
        (b"[]", {"ok": False, "error": FORM}),
        (b"", {"ok": False, "error": FORM}),
        (b"\xff", {"ok": False, "error": FORM}),
        (b"[" * 60_000, {"ok": False, "error": FORM}),
    ],
)
def test_a_line_and_its_answer(commands: Commands, line: bytes, answer: dict[str, Any]) -> None:
    assert run(commands, line) == answer


def test_what_should_not_happen_is_logged(commands: Commands, log: Log) -> None:
    run(commands, b'{"command": "fail"}')
    assert len(log.errors) == 1
    assert "ZeroDivisionError" in log.errors[0]


@pytest.mark.parametrize("before", [True, False])
def test_an_answer_may_come_later(commands: Commands, before: bool) -> None:
    later, answers = Later(), list[bytes]()
    commands.add("wait", lambda _: later)
    if before:
        later.done({"n": 1})
    commands.run(b'{"command": "wait"}', answers.append)
    assert bool(answers) is before
    if not before:
        later.done({"n": 1})
    later.failed("too late")
    assert [json.loads(answer) for answer in answers] == [{"ok": True, "answer": {"n": 1}}]


def test_what_is_done_later_may_fail(commands: Commands) -> None:
    later, answers = Later(), list[bytes]()
    commands.add("wait", lambda _: later)
    commands.run(b'{"command": "wait"}', answers.append)
    later.failed("the application is broken")
    assert json.loads(answers[0]) == {"ok": False, "error": "the application is broken"}
