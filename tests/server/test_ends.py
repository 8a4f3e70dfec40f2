"""What the end of a child says about who ended it, and about its next start."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest

from server import ends
from server.restart import STORM, History


@pytest.mark.parametrize(
    ("code", "by_itself"),
    [(0, True), (1, True), (4, True), (-11, True), (-9, False), (-15, False), (None, False)],
)
def test_who_ended_a_worker(code: int | None, by_itself: bool) -> None:
    assert ends.by_itself(code) is by_itself


@pytest.mark.parametrize(
    ("was_ready", "code", "deaths", "delay"),
    [(True, 0, 2, 0.1), (True, 1, 3, 0.4), (True, -9, 3, 0.4), (False, 0, 3, 4.0)],
)
def test_an_orderly_end_is_no_death(
    was_ready: bool, code: int, deaths: int, delay: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "monotonic", lambda: 2.0)
    history = History().with_death(0.0).with_death(1.0)
    after, decision = ends.after_end(history, was_ready, code)
    assert len(after.deaths) == deaths
    assert decision.delay == pytest.approx(delay)


@pytest.mark.parametrize(
    ("hung", "code", "text"),
    [
        (False, 0, "exit code 0"),
        (False, -9, "killed by signal 9"),
        (False, None, "exit code unknown"),
        (True, -9, "it hung: killed by signal 9"),
    ],
)
def test_an_end_in_words(hung: bool, code: int | None, text: str) -> None:
    child: Any = SimpleNamespace(hung=hung)
    assert ends.reason(child, code) == text


def test_the_log_says_when_a_worker_dies_again_and_again() -> None:
    history = History()
    told = []
    for _ in range(STORM):
        history, decision = ends.after_end(history, was_ready=True, code=-9)
        told.append(ends.told(decision))
    assert [each for each in told if "cause" in each] == [
        {"restart_in": "30s", "cause": "it dies again and again"}
    ]
