"""Ctrl-C as a descriptor."""

from __future__ import annotations

import os
import select
import signal

from server.client.interrupts import Interrupts


def readable(number: int) -> bool:
    return bool(select.select([number], [], [], 0)[0])


def test_a_signal_makes_it_readable_and_nothing_else_happens() -> None:
    before = signal.getsignal(signal.SIGINT)
    with Interrupts() as interrupts:
        assert not readable(interrupts.fileno())
        os.kill(os.getpid(), signal.SIGINT)
        assert readable(interrupts.fileno())
    assert signal.getsignal(signal.SIGINT) == before


def test_any_number_of_signals_is_taken() -> None:
    with Interrupts() as interrupts:
        for _ in range(100_000):
            os.kill(os.getpid(), signal.SIGINT)
        assert readable(interrupts.fileno())
