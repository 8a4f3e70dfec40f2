"""What a person sees of a server's status, letter by letter."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from server.cli import board


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


CALM = {"restarts": 0, "last_end": None, "next_start": None, "storm": False}
ANSWER = {
    "pid": 4711,
    "name": "hive",
    "version": "1.2.3",
    "state": "running",
    "started": 1_795_000_000.5,
    "uptime": 93784.2,
    "listeners": ["127.0.0.1:3301", "unix/:/run/bee.sock"],
    "consoles": [],
    "control": "/run/hive/control.sock",
    "app": None,
    "run_dir": "/run/hive",
    "data_dir": "/var/hive",
    "catalog": "/var/hive/catalog.sqlite",
    "sessions": 12,
    "max_sessions": 100,
    "refused": 3,
    "ended": {"client": 1031, "error": 0, "idle": 7, "worker_died": 12},
    "metrics": None,
    "acceptor": {"pid": 4712, "state": "ready", "turned": 0.25, **CALM},
    "workers": [
        {"number": 0, "pid": 4713, "state": "ready", "sessions": 12, "turned": 31.04, **CALM},
        {
            "number": 1,
            "pid": None,
            "state": "dead",
            "sessions": 0,
            "turned": None,
            "restarts": 11,
            "last_end": {"reason": "exit code 3", "time": 1_795_000_100.0},
            "next_start": 28.44,
            "storm": True,
        },
    ],
}
SHOWN = """\
server       hive, running, process 4711, beespace 1.2.3
since        2026-11-18 11:06:40 (1 d 2 h)
listeners    127.0.0.1:3301, unix/:/run/bee.sock
consoles     none
control      /run/hive/control.sock
application  none
run dir      /run/hive
data dir     /var/hive
catalog      /var/hive/catalog.sqlite
sessions     12 of 100, 3 refused
ended        1050: 1031 client, 12 worker_died, 7 idle

           pid  state  sessions  restarts    loop  last end
acceptor  4712  ready         -         0   0.2 s  -
worker 0  4713  ready        12         0  31.0 s  -
worker 1     -  dead          0        11       -  \
2026-11-18 11:08:20 exit code 3; next start in 28.4 s; it dies again and again
"""


def test_a_board_with_metrics() -> None:
    child = {"pid": 4715, "state": "ready", "turned": 0.5, **CALM}
    metrics = {"listeners": ["127.0.0.1:9464", "unix/:/m"], **child}
    lines = list(board.lines({**ANSWER, "metrics": metrics}))
    assert lines[5] == "metrics      127.0.0.1:9464, unix/:/m"
    assert [line for line in lines if line.startswith("metrics  ")][1:] == [
        "metrics   4715  ready         -         0   0.5 s  -"
    ]


def test_the_board() -> None:
    assert "".join(f"{line}\n" for line in board.lines(ANSWER)) == SHOWN
