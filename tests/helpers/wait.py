"""Waiting for a condition with a deadline: the only place of the tests that sleeps.

Every test that expects something to become true, whole-server and wire alike, calls
:func:`wait_until`; a condition that stays false is a failure that says what was waited for.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TypeVar

T = TypeVar("T")

_FIRST_PAUSE = 0.001
_LONGEST_PAUSE = 0.05
_BETWEEN_TRIES = 0.25


def wait_until(
    condition: Callable[[], T],
    deadline: float = 5.0,
    what: str = "",
    longest: float = _LONGEST_PAUSE,
) -> T:
    """The first true value of ``condition``, asked again and again for ``deadline`` seconds.

    Between two questions are ``longest`` seconds at most: for those who measure.

    Raises AssertionError naming ``what`` (or the condition) and the last value.
    """
    end = time.monotonic() + deadline
    pause = _FIRST_PAUSE
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= end:
            name = what or getattr(condition, "__name__", "condition")
            raise AssertionError(f"{name}: still {value!r} after {deadline} s")
        time.sleep(pause)
        pause = min(pause * 2, longest)


def tries(deadline: float = 10.0) -> Iterator[None]:
    """Again and again for ``deadline`` seconds, for what a try brings or not, such as a connection
    to a certain worker: it gets none while it stalls.
    """
    end = time.monotonic() + deadline
    pause = _FIRST_PAUSE
    while True:
        yield
        if time.monotonic() >= end:
            return
        time.sleep(pause)
        pause = min(pause * 2, _BETWEEN_TRIES)


def assert_within(bound: float, measure: Callable[[], float], most: int = 4) -> None:
    """Something keeps to a bound in seconds in one of ``most`` tries: a machine stalls at times."""
    took: list[float] = []
    while len(took) < most:
        took.append(measure())
        if took[-1] < bound:
            return
    raise AssertionError(f"took {took} s, expected less than {bound} s")
