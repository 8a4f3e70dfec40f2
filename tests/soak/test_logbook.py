"""The log of a soaked server: ends are counted, and what no fault explains is named."""

from __future__ import annotations

import pytest

from tests.soak import logbook

WHEN = "2026-11-26 09:32:58.974 [19863] "
ENDS = [
    WHEN + "supervisor E> worker ended worker=3 reason=killed by signal 9 sessions=8 restart_in=1s",
    WHEN + "supervisor E> worker ended worker=2 reason=it hung: killed by signal 9 sessions=8",
    WHEN + "supervisor I> old worker ended worker=1 reason=exit code 0 sessions=0",
    WHEN + "supervisor I> new worker ended worker=1 reason=exit code 3 sessions=0",
    WHEN + "supervisor E> acceptor ended reason=killed by signal 11 restart_in=0.1s",
]


def test_ends() -> None:
    assert logbook.ends([*ENDS, ENDS[0]]) == {
        ("worker", "killed by signal 9"): 3,
        ("old worker", "exit code 0"): 1,
        ("new worker", "exit code 3"): 1,
        ("acceptor", "killed by signal 11"): 1,
    }


@pytest.mark.parametrize(
    "line",
    [
        *ENDS,
        WHEN + "worker-0/17 I> closing connection 127.0.0.1:1: idle for 2 second(s)",
        WHEN + "worker-0/17 W> closed: 1 bytes wait for 127.0.0.1:1",
        WHEN + "supervisor E> a worker hangs: killed worker=0 pid=1 silent=4s process=stopped",
        WHEN + "supervisor E> worker cannot serve worker=0 reason=the lock of the triggers was not "
        "free for 1 s: its holder hangs",
        WHEN + "worker-4/4 C> code cannot be ended: this worker ends peer=p request=call endless",
    ],
)
def test_what_faults_bring_about(line: str) -> None:
    assert logbook.surprises([line]) == []


@pytest.mark.parametrize(
    "line",
    [
        WHEN + "worker-0 C> the worker's loop failed error=nil",
        WHEN + "worker-4/4 E> code runs too long: ending it peer=p request=call echo",
        WHEN + "supervisor E> a worker hangs: killed worker=0 pid=1 silent=4s process=zombie",
        "Traceback (most recent call last):",
        '  File "server/crew.py", line 1, in <module>',
    ],
)
def test_what_they_do_not(line: str) -> None:
    assert logbook.surprises([ENDS[0], line]) == [line]


def test_sessions_that_were_given_up() -> None:
    text = "supervisor E> on_disconnect ended 2 workers: not run for 12 lost sessions"
    assert logbook.given_up([WHEN + text, ENDS[0], WHEN + text]) == 24
