"""What the service manager is told, and when nothing is."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from server.loop import Loop
from server.notify import LEAST_PATIENCE, Manager, Notifier, described
from shm.segment import Segment
from shm.states import WorkerState

PID = str(os.getpid())

TABLE: list[tuple[str, dict[str, str], Manager]] = [
    ("nothing", {}, Manager()),
    ("empty", {"NOTIFY_SOCKET": ""}, Manager()),
    ("a path", {"NOTIFY_SOCKET": "/run/notify"}, Manager("/run/notify")),
    ("abstract", {"NOTIFY_SOCKET": "@a@b"}, Manager("\0a@b")),
    ("another kind", {"NOTIFY_SOCKET": "vsock:2:1", "WATCHDOG_USEC": "1"}, Manager()),
    ("watchdog", {"NOTIFY_SOCKET": "/n", "WATCHDOG_USEC": "2500000"}, Manager("/n", 2.5)),
    (
        "watchdog of this process",
        {"NOTIFY_SOCKET": "/n", "WATCHDOG_USEC": "1000000", "WATCHDOG_PID": PID},
        Manager("/n", 1.0),
    ),
    (
        "watchdog of another process",
        {"NOTIFY_SOCKET": "/n", "WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"},
        Manager("/n"),
    ),
    ("no time", {"NOTIFY_SOCKET": "/n", "WATCHDOG_USEC": "0"}, Manager("/n")),
    ("no number", {"NOTIFY_SOCKET": "/n", "WATCHDOG_USEC": "-3s"}, Manager("/n")),
    ("watchdog alone", {"WATCHDOG_USEC": "1000000"}, Manager()),
]


class Log:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def warning(self, text: str, **fields: Any) -> None:
        self.told.append(f"{text} {fields}")

    error = warning


class Place:
    """A manager's socket, and what came."""

    def __init__(self, address: str) -> None:
        self.manager = Manager(address, None)
        self.log = Log()
        self.loop = Loop()
        self._end = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._end.bind(address)
        self._end.setblocking(False)

    def notifier(self, watchdog: float | None = None) -> Notifier:
        return Notifier(Manager(self.manager.address, watchdog), self.loop, self.log)

    def turn(self, seconds: float) -> None:
        """Let the loop's timers fire for some time."""
        self.loop._stopped = False
        self.loop.after(seconds, self.loop.stop)
        self.loop.run()

    def came(self) -> list[str]:
        """Messages since the last call."""
        found = []
        while True:
            try:
                found.append(self._end.recv(4096).decode())
            except BlockingIOError:
                return found

    def close(self) -> None:
        self._end.close()
        self.loop.close()


@pytest.fixture(params=["path", "abstract"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    address = str(tmp_path / "n") if request.param == "path" else f"\0beespace-notify-{PID}"
    made = Place(address)
    yield made
    made.close()


@pytest.fixture
def segment() -> Iterator[Segment]:
    made = Segment.create(f"beespace-notify-{PID}", 16, 2, 1 << 20)
    yield made
    made.close()


@pytest.mark.parametrize(("given", "manager"), [r[1:] for r in TABLE], ids=[r[0] for r in TABLE])
def test_the_environment_is_read_and_emptied(given: dict[str, str], manager: Manager) -> None:
    environment = {"HOME": "/", **given}
    assert Manager.taken(environment) == manager
    assert environment == {"HOME": "/"}


def test_a_life_in_messages(place: Place, segment: Segment) -> None:
    notifier = place.notifier()
    assert place.came() == ["STATUS=starting"]
    segment.rows[0].state = segment.rows[1].state = WorkerState.READY
    notifier.ready(segment)
    assert place.came() == ["READY=1", "STATUS=workers: 2 ready"]
    answers: list[dict[str, Any]] = []
    over = notifier.reloading(answers.append)
    (message,) = place.came()
    reloading, clock = message.split("\n")
    assert reloading == "RELOADING=1"
    assert int(clock.removeprefix("MONOTONIC_USEC=")) > 0
    over({"ok": False})
    assert answers == [{"ok": False}]
    assert place.came() == ["READY=1"]
    notifier.stopping(None)
    assert place.came() == ["STOPPING=1", "STATUS=stopping"]
    assert place.log.told == []


def test_a_stop_ends_a_reload(place: Place) -> None:
    notifier = place.notifier()
    over = notifier.reloading(lambda _: None)
    notifier.stopping(None)
    over({"ok": False})
    assert "READY=1" not in place.came()


def test_a_failed_start_is_told(place: Place) -> None:
    place.notifier().stopping(ValueError("app.lua:3: boom"))
    assert place.came()[-2:] == ["STOPPING=1", "STATUS=app.lua:3: boom"]


def test_a_status_is_told_once(place: Place, segment: Segment) -> None:
    notifier = place.notifier()
    notifier.ready(segment)
    place.came()
    notifier.ready(segment)
    assert place.came() == ["READY=1"]


def test_signs_of_life_come_while_a_worker_turns(place: Place, segment: Segment) -> None:
    def turn() -> None:
        segment.rows[1].heartbeat += 1
        place.loop.after(0.01, turn)

    turn()
    began = time.monotonic()
    place.notifier(watchdog=0.2).ready(segment)
    place.turn(0.45)
    # At half of the time; a busy machine may be late, but never early.
    assert 2 <= place.came().count("WATCHDOG=1") <= 1 + (time.monotonic() - began) / 0.1


def test_signs_of_life_end_with_the_last_worker(
    place: Place, segment: Segment, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert LEAST_PATIENCE > 2
    monkeypatch.setattr("server.notify.LEAST_PATIENCE", 0.1)
    notifier = place.notifier(watchdog=0.1)
    notifier.ready(segment)
    place.turn(0.6)
    assert 1 <= place.came().count("WATCHDOG=1") <= 4
    assert [line.partition(":")[0] for line in place.log.told] == ["no worker turns"]


def test_a_stop_is_a_sign_of_life(
    place: Place, segment: Segment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.notify.LEAST_PATIENCE", 0.0)
    notifier = place.notifier(watchdog=0.1)
    notifier.ready(segment)
    notifier.stopping(None)
    place.came()
    signs = 0
    for _ in range(20):
        place.turn(0.3)
        signs += place.came().count("WATCHDOG=1")
        if signs >= 3:
            break
    assert signs >= 3
    assert place.log.told == []


def test_a_manager_that_is_gone_is_logged(tmp_path: Path) -> None:
    loop, log = Loop(), Log()
    Notifier(Manager(str(tmp_path / "gone")), loop, log)
    loop.close()
    assert len(log.told) == 1
    assert "STATUS" in log.told[0]


def test_without_a_manager_nothing_happens(segment: Segment) -> None:
    loop, log = Loop(), Log()
    notifier = Notifier(Manager(), loop, log)
    notifier.ready(segment)
    notifier.reloading(lambda _: None)({"ok": True})
    notifier.stopping(None)
    # No timer is left either: the loop would fire it.
    assert loop._timers == []
    loop.close()
    assert log.told == []


@pytest.mark.parametrize(
    ("states", "text"),
    [
        ([], "workers: 0 ready"),
        ([WorkerState.READY, WorkerState.READY, WorkerState.ABSENT], "workers: 2 ready"),
        ([WorkerState.READY, WorkerState.DEAD], "workers: 1 ready, 1 dead"),
        ([WorkerState.DEAD, WorkerState.STARTING], "workers: 0 ready, 1 starting, 1 dead"),
    ],
)
def test_workers_in_words(states: list[WorkerState], text: str) -> None:
    assert described(states) == text
