"""Tests of what happens within a time: a machine that stalls is no reason for them to fail."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from typing import Final, ParamSpec

P = ParamSpec("P")

TRIES: Final = 5


def tried_again(test: Callable[P, None]) -> Callable[P, None]:
    """A test that has to pass once in some tries; each of them begins anew."""

    @functools.wraps(test)
    def trying(*args: P.args, **kwargs: P.kwargs) -> None:
        for _ in range(TRIES - 1):
            # What was to be read or written may have ended too early.
            with contextlib.suppress(AssertionError, OSError, ValueError):
                test(*args, **kwargs)
                return
        test(*args, **kwargs)

    return trying
