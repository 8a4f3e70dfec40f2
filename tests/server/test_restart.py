"""When a dead child is started again: a table."""

from __future__ import annotations

import pytest

from server.restart import PERIOD, STORM, Decision, History, Outlook, decide

TABLE = [
    # deaths, was ready, delay, storm
    (1, True, 0.1, False),
    (2, True, 0.2, False),
    (3, True, 0.4, False),
    (7, True, 5.0, False),
    (9, True, 5.0, False),
    (10, True, 30.0, True),
    (1, False, 1.0, False),
    (2, False, 2.0, False),
    (5, False, 16.0, False),
    (6, False, 30.0, False),
    (10, False, 30.0, True),
]


@pytest.mark.parametrize(("deaths", "was_ready", "delay", "storm"), TABLE)
def test_decisions(deaths: int, was_ready: bool, delay: float, storm: bool) -> None:
    history = History()
    for number in range(deaths):
        history = history.with_death(float(number))
    decision = decide(history, was_ready)
    assert decision.delay == pytest.approx(delay)
    assert decision.storm is storm


def test_old_deaths_are_forgotten() -> None:
    history = History().with_death(0.0).with_death(1.0)
    assert history.with_death(PERIOD + 0.5).deaths == (1.0, PERIOD + 0.5)


def test_a_history_stays_short() -> None:
    history = History()
    for _ in range(3 * STORM):
        history = history.with_death(5.0)
    assert len(history.deaths) == STORM


def test_an_outlook_follows_the_life_of_a_child() -> None:
    outlook = Outlook().ends("exit code 1", 1000.0)
    assert (outlook.reason, outlook.ended, outlook.next_start) == ("exit code 1", 1000.0, None)
    waiting = outlook.waits(Decision(30.0, storm=True), 5.0)
    assert (waiting.reason, waiting.next_start, waiting.storm) == ("exit code 1", 35.0, True)
    assert waiting.without_start() == outlook
