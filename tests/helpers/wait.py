"""Waiting for a condition with a deadline: the only place of the tests that sleeps.

Every test that expects something to become true, whole-server and wire alike, calls
:func:`wait_until`; a condition that stays false is a failure that says what was waited for.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_FIRST_PAUSE = 0.001
_LONGEST_PAUSE = 0.05


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
