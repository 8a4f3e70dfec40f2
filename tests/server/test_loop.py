"""The supervisor's loop: descriptors, timers, signals, in that order within a turn."""

from __future__ import annotations

import os
import signal
import socket
import time

import pytest

from server.loop import Loop


def test_timers_fire_in_order_of_their_time(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = Loop()
    fired: list[str] = []
    now = time.monotonic()
    with monkeypatch.context() as still:
        still.setattr(time, "monotonic", lambda: now)
        loop.after(0.03, loop.stop)
        loop.after(0.02, lambda: fired.append("second"))
        loop.after(0.01, lambda: fired.append("first"))
        loop.after(0.01, lambda: fired.append("cancelled")).cancel()
    loop.run()
    loop.close()
    assert fired == ["first", "second"]


def test_a_loop_stopped_before_it_runs_does_not_run() -> None:
    loop = Loop()
    fired: list[int] = []
    loop.after(0, lambda: fired.append(1))
    loop.stop()
    loop.run()
    loop.close()
    assert fired == []


def test_a_timer_fires_once() -> None:
    loop = Loop()
    fired: list[int] = []
    timer = loop.after(0, lambda: fired.append(1))
    timer.fire()
    loop.after(0, loop.stop)
    loop.run()
    loop.close()
    assert fired == [1]


def test_a_source_calls_back_until_it_is_unwatched() -> None:
    loop = Loop()
    left, right = socket.socketpair()
    heard: list[bytes] = []

    def hear() -> None:
        heard.append(right.recv(1))
        if len(heard) == 2:
            loop.unwatch(right)
            loop.unwatch(right)
            loop.after(0.01, loop.stop)

    with left, right:
        loop.watch(right, hear)
        left.sendall(b"abc")
        loop.run()
    loop.close()
    assert heard == [b"a", b"b"]


def test_a_source_given_up_in_the_same_turn_is_not_called() -> None:
    loop = Loop()
    first, second = socket.socketpair(), socket.socketpair()
    called: list[int] = []

    def give_up(number: int) -> None:
        called.append(number)
        for _, right in (first, second):
            loop.unwatch(right)
        loop.stop()

    for number, (left, right) in enumerate((first, second)):
        left.sendall(b"x")
        loop.watch(right, lambda number=number: give_up(number))  # type: ignore[misc]
    loop.run()
    loop.close()
    for end in (*first, *second):
        end.close()
    assert len(called) == 1


def test_signals_are_delivered_between_callbacks_and_handlers_come_back() -> None:
    loop = Loop()
    before = signal.getsignal(signal.SIGUSR1)
    heard: list[signal.Signals] = []
    inside: list[bool] = []

    def raise_one() -> None:
        os.kill(os.getpid(), signal.SIGUSR1)
        inside.append(bool(heard))

    def on_signal(number: signal.Signals) -> None:
        heard.append(number)
        loop.stop()

    with loop.signals([signal.SIGUSR1], on_signal):
        loop.after(0, raise_one)
        loop.run()
    loop.close()
    assert heard == [signal.SIGUSR1]
    assert inside == [False]
    assert signal.getsignal(signal.SIGUSR1) == before
