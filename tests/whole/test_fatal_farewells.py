"""An on_disconnect that ends its worker: lost sessions must not take all workers along."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.raw import Raw
from tests.helpers.server import Server
from tests.helpers.wait import wait_until
from tests.whole.conftest import Start
from tests.whole.crews import spread

SETTINGS = {"limits": {"request_time": 0.2}}
NO_WATCHDOG = {"limits": {"request_time": 0}, "workers": {"hang_timeout": 3.5}}
EACH = 8
"""Sessions a worker."""
GIVEN_UP = r"supervisor E> on_disconnect ended 2 workers: not run for (\d+) lost sessions"

# Only those of a dead worker have no storage. %s is what happens to them.
APP = """
box.session.on_connect(function() box.session.storage.connected = true end)

box.session.on_disconnect(function()
  if next(box.session.storage) == nil then
    local file = io.open(%r, 'a')
    file:write(('%%d %%d\\n'):format(box.session.id(), box.info.pid))
    file:close()
    %s
  end
end)
"""


def fill(
    server: Server, stack: contextlib.ExitStack, workers: int = 2, each: int = EACH
) -> dict[int, list[int]]:
    """Sessions by the process that serves them."""
    found: dict[int, list[int]] = {}
    for clients in spread(server, stack, workers, each).values():
        for client in clients:
            session, pid = client.eval("return box.session.id(), box.info.pid").data
            found.setdefault(pid, []).append(session)
    return found


def await_lines(server: Server, count: int) -> None:
    """Wait until sessions were given up so many times."""
    wait_until(lambda: len(server.lines(GIVEN_UP)) == count, 40, "the line of the log")


def farewells(notes: Path) -> list[tuple[int, int]]:
    """Session and process of each on_disconnect that has begun."""
    lines = notes.read_text().splitlines(keepends=True) if notes.exists() else []
    words = [line.split() for line in lines if line.endswith("\n")]
    return [(int(session), int(pid)) for session, pid in words]


def begun(notes: Path) -> list[int]:
    return [session for session, _ in farewells(notes)]


@pytest.mark.parametrize(
    ("fatal", "reason", "settings"),
    [
        ("while true do end", "exit code 4", SETTINGS),
        ("os.exit(7)", "exit code 7", SETTINGS),
        ("os.exit()", "exit code 0", SETTINGS),
        ("while true do end", "killed by signal 9", NO_WATCHDOG),
    ],
)
def test_two_workers_end_and_the_rest_is_given_up(
    fatal: str, reason: str, settings: dict[str, Any], start: Start, tmp_path: Path
) -> None:
    notes = tmp_path / "notes"
    server = start(app=APP % (str(notes), fatal), workers=2, settings=settings)
    with contextlib.ExitStack() as stack:
        sessions = fill(server, stack)
        assert sorted(map(len, sessions.values())) == [EACH, EACH]
        os.kill(next(iter(sessions)), signal.SIGKILL)
        await_lines(server, 1)

    with Raw(server.control) as owner:
        assert owner.eval("return 1 + 1").data == [2]
    # Two on_disconnect have begun, those of the first and of the second worker's other sessions
    # have not; the third had none.
    (line,) = server.lines(GIVEN_UP)
    assert f"not run for {2 * EACH - 2} lost sessions" in line
    assert len(begun(notes)) == 2
    # That they were given up is told before the end of the worker is.
    wait_until(lambda: len(server.lines("worker ended ")) == 3, 20, "the ends of the workers")
    first = reason == "killed by signal 9"
    assert len(server.lines(f"worker ended .*{reason}")) == 2 + first
    assert len(server.lines("worker ended ")) == 3


def test_later_ends_begin_anew(start: Start, tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    server = start(app=APP % (str(notes), "os.exit(7)"), workers=1, settings=SETTINGS)
    expected: list[int] = []
    for times in (1, 2):
        with contextlib.ExitStack() as stack:
            # The second time these wait for the next worker.
            ((victim, lost),) = fill(server, stack, 1).items()
            expected += lost[:2]
            os.kill(victim, signal.SIGKILL)
            await_lines(server, times)
        assert begun(notes) == expected


def test_one_fatal_session_costs_no_other_its_on_disconnect(start: Start, tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    fatal = "if box.session.id() % 8 == 3 then os.exit(7) end"
    server = start(app=APP % (str(notes), fatal), workers=1, settings=SETTINGS)
    with contextlib.ExitStack() as stack:
        ((victim, lost),) = fill(server, stack, 1).items()
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda: len(begun(notes)) >= EACH, 20, "all farewells")
        wait_until(lambda: len(server.lines("worker ended ")) >= 2, 20, "the ends of the workers")
    assert begun(notes) == lost
    assert len(server.lines("worker ended .*reason=exit code 7")) == 1
    assert server.lines(GIVEN_UP) == []


def test_workers_killed_from_outside_do_not_count(start: Start, tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    busy = "local t = os.clock() + 0.1 while os.clock() < t do end"
    server = start(app=APP % (str(notes), busy), workers=2)
    with contextlib.ExitStack() as stack:
        sessions = fill(server, stack, each=2 * EACH)
        killed = [next(iter(sessions))]
        os.kill(killed[0], signal.SIGKILL)

        def receiver() -> int | None:
            return next((pid for _, pid in farewells(notes) if pid not in killed), None)

        for _ in range(3):
            pid = wait_until(receiver, 20, "another worker that runs them")
            assert pid
            os.kill(pid, signal.SIGKILL)
            killed.append(pid)
        everybody = [each for group in sessions.values() for each in group]
        # One that had just begun may not have written its line.
        wait_until(lambda: len(begun(notes)) >= len(everybody) - 3, 40, "all farewells")
    assert len(set(begun(notes))) == len(begun(notes))
    assert set(begun(notes)) <= set(everybody)
    assert server.lines(GIVEN_UP) == []
