"""What the end of a child says about who ended it, and about its next start."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest

from server import ends
from server.restart import STORM, Decision, History


@pytest.mark.parametrize(
    ("code", "by_itself"),
    [(0, True), (1, True), (4, True), (-11, True), (-9, False), (-15, False), (None, False)],
)
def test_who_ended_a_worker(code: int | None, by_itself: bool) -> None:
    assert ends.by_itself(code) is by_itself


def child(*, ready: bool) -> Any:
    return SimpleNamespace(ready=ready, started=time.monotonic())


@pytest.mark.parametrize(
    ("was_ready", "code", "deaths", "delay"),
    [(True, 0, 2, 0.1), (True, 1, 3, 0.4), (True, -9, 3, 0.4), (False, 0, 3, 1.0)],
)
def test_an_orderly_end_is_no_death(
    was_ready: bool, code: int, deaths: int, delay: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "monotonic", lambda: 2.0)
    history = History().with_death(1.0, was_ready=True).with_death(1.0, was_ready=True)
    after, decision = ends.after_end(history, child(ready=was_ready), code)
    assert len(after.deaths) == deaths
    assert decision.delay == pytest.approx(delay)


def test_the_time_that_a_child_lived_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    one = child(ready=True)
    monkeypatch.setattr(time, "monotonic", lambda: one.started + 7.5)
    history, _ = ends.after_end(History(lived=2.0), one, -9)
    assert history == History(lived=9.5, deaths=(9.5,))


def test_no_process_is_a_start_in_vain() -> None:
    history, decision = ends.without_process(History(lived=2.0, vain=1))
    assert (history.vain, decision) == (2, Decision(2.0, storm=False))


@pytest.mark.parametrize(
    ("hung", "ready", "code", "text"),
    [
        (False, True, 0, "exit code 0"),
        (False, False, -9, "killed by signal 9"),
        (False, True, None, "exit code unknown"),
        (True, True, -9, "it hung: killed by signal 9"),
        (True, False, -9, "it took too long to start: killed by signal 9"),
    ],
)
def test_an_end_in_words(hung: bool, ready: bool, code: int | None, text: str) -> None:
    one: Any = SimpleNamespace(hung=hung, ready=ready)
    assert ends.reason(one, code) == text


def test_the_log_says_when_a_worker_dies_again_and_again() -> None:
    history = History()
    told = []
    for _ in range(STORM):
        history, decision = ends.after_end(history, child(ready=True), code=-9)
        told.append(ends.told(decision))
    assert [each for each in told if "cause" in each] == [
        {"restart_in": "30s", "cause": "it dies again and again"}
    ]
