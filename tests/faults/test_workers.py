"""Workers that are killed, hang, or cannot start again, while other sessions work."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.conftest import Start
from tests.faults.crowd import working
from tests.helpers.commands import beespace, status
from tests.helpers.inside import Inside
from tests.helpers.raw import CALL, Raw, request
from tests.helpers.server import Server
from tests.helpers.wait import wait_until

Look = Callable[[Server], Inside]

MOMENT = 0.001
SLOTS_FREE = 0.25
"""Seconds until the slots of a killed worker are free: 0.005 where nothing else runs."""
TOLD = 1.0
"""Seconds until its clients know."""
TRIES = 4
"""Deaths, of which one shows both, on a machine that stands still at times."""
READY = 8.0
"""Seconds until its successor is ready: 0.6 where nothing else runs."""
HANG = 3.0
SETTINGS = {"workers": {"hang_timeout": HANG}, "limits": {"request_time": 0}}

SET_TRIGGER = """
box.session.on_connect(function() box.session.storage.seen = 'by the trigger' end, nil, 'see')
box.schema.user.create('bee', {password = 'honey pot'})
"""
TRY_PASSWORD = "return pcall(box.schema.user.passwd, 'bee', 'short')"


def seen_in(server: Server, worker: int) -> list[object]:
    """What a new session of a worker finds there."""

    def ask() -> list[object] | None:
        with Raw(server.address) as client:
            if client.call("whereami").data[1] != worker:
                return None
            good, text = client.eval(TRY_PASSWORD).data
            known = client.eval("return box.schema.user.exists('bee')").data[0]
            return [client.eval("return box.session.storage.seen").data[0], known, good, text]

    return wait_until(ask, READY, f"a session of worker {worker}") or []


def killed_again(server: Server, inside: Inside, worker: int) -> tuple[float, float]:
    """Seconds until slots of a worker that is killed are free, and until clients know."""
    line = f"worker is back worker={worker}"
    back = len(server.lines(line))
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Raw(server.address)) for _ in range(6)]
        places = [client.call("whereami").data for client in clients]
        lost = {
            session: client
            for client, (session, at, _) in zip(clients, places, strict=True)
            if at == worker
        }
        killed = time.monotonic()
        os.kill(next(pid for _, at, pid in places if at == worker), signal.SIGKILL)
        wait_until(lambda: not inside.exist([*lost]), what="free slots", longest=MOMENT)
        freed = time.monotonic() - killed
        for client in lost.values():
            client.wait_closed()
        told = time.monotonic() - killed
    wait_until(lambda: len(server.lines(line)) > back, 20, "the next worker")
    return freed, told


def test_a_killed_worker(start: Start, look: Look, notes: Path) -> None:
    settings = {"security": {"password_min_length": 1}}
    server = start(workers=2, settings=settings)
    inside = look(server)
    with Raw(server.address) as owner:
        owner.eval(SET_TRIGGER)
    config = server.folder / "config.yaml"
    config.write_text(config.read_text().replace("min_length: 1", "min_length: 9"))
    server.send_signal(signal.SIGHUP)
    wait_until(lambda: server.lines(": done workers=2"), 20, "the reload, which has new workers")

    with working(server) as crowd:
        victim, other = crowd.pids
        lost, kept = crowd.of(victim), crowd.of(other)
        assert (len(lost), len(kept)) == (6, 6)
        killed = time.monotonic()
        os.kill(crowd.pids[victim], signal.SIGKILL)
        wait_until(lambda: not inside.exist(lost), what="free slots", longest=MOMENT)
        freed = time.monotonic() - killed
        wait_until(lambda: server.lines(f"worker is back worker={victim}"), READY, longest=MOMENT)
        ready = time.monotonic() - killed
        found = seen_in(server, victim)
        outcome = crowd.end()

    outcome.check(kept, lost)
    told = max(outcome.sessions[session].closed or 0 for session in lost) - killed
    print(f"slots free {freed:.3f} s, clients told {told:.3f} s, ready {ready:.2f} s")
    print(f"longest answer of others {outcome.gap(kept):.3f} s")
    print(f"longest visit {outcome.newcomers.gap:.3f} s, failed {outcome.newcomers.failed}")
    tries = [(freed, told)]
    while not any(free < SLOTS_FREE and know < TOLD for free, know in tries):
        assert len(tries) < TRIES, tries
        tries.append(killed_again(server, inside, victim))
    assert ready < READY
    # A visitor who was in the worker that died.
    assert len(outcome.newcomers.failed) <= 1
    assert found[:3] == ["by the trigger", True, False]
    assert "9 characters" in str(found[3])
    ended = re.findall(r"^(\d+) (\d+) worker_died$", notes.read_text(), re.MULTILINE)
    by_session = [(int(session), int(pid)) for session, pid in ended if int(session) in lost]
    assert sorted(by_session) == [(session, crowd.pids[other]) for session in sorted(lost)]


def test_workers_that_hang(start: Start, look: Look) -> None:
    """One is stopped, one is in a C function that does not return; the third one serves."""
    server = start(workers=3, settings=SETTINGS)
    inside = look(server)
    with working(server) as crowd, Raw(server.address) as client:
        session, calls, _ = client.call("whereami").data
        stopped, serves = {0, 1, 2} - {calls}, 0
        serves = stopped.pop()
        (stops,) = stopped
        begun = time.monotonic()
        os.kill(crowd.pids[stops], signal.SIGSTOP)
        client.send(request({0: CALL, 1: 99}, {0x22: "stuck", 0x21: []}))
        wait_until(lambda: len(server.lines("a worker hangs: killed")) == 2, 20)
        took = time.monotonic() - begun
        wait_until(lambda: len(server.lines("worker is back")) == 2, READY)
        client.wait_closed()
        assert inside.pid(calls) != crowd.pids[calls]
        outcome = crowd.end()
    print(f"both killed after {took:.2f} s of {HANG} s")
    outcome.check(crowd.of(serves), crowd.of(stops, calls))
    in_call = rf"/{session} E> a worker hangs: killed worker={calls} .* request=call stuck$"
    assert len(server.lines(in_call)) == 1, server.log
    assert len(server.lines(rf"hangs: killed worker={stops} .* process=stopped")) == 1, server.log
    assert took >= HANG


def test_an_application_that_is_broken_when_a_worker_starts_again(start: Start) -> None:
    server = start(workers=2)
    app = server.folder / "app.lua"
    good = app.read_text()
    with working(server) as crowd:
        app.write_text("error('no bees today')")
        os.kill(crowd.pids[0], signal.SIGKILL)
        wait_until(lambda: len(server.lines("worker ended worker=0")) == 2, 20)
        tried = time.monotonic()
        app.write_text(good)
        wait_until(lambda: server.lines("worker is back worker=0"), 20)
        took = time.monotonic() - tried
        outcome = crowd.end()
    print(f"back {took:.2f} s after the first try in vain")
    outcome.check(crowd.of(1), crowd.of(0))
    first, second, *_ = server.lines("worker ended worker=0")
    assert first.endswith("reason=killed by signal 9 sessions=6 restart_in=0.1s") or (
        "sessions=7" in first
    )
    assert "reason=exit code 3" in second
    assert "restart_in=1s" in second
    reason, *_ = server.lines("worker cannot serve worker=0")
    assert "app.lua:1: no bees today" in reason


@pytest.mark.timeout(120)
def test_a_worker_that_dies_again_and_again_is_said_to_until_it_is_mended(start: Start) -> None:
    """Each try is later than the one before, until 30 s; a reload does not wait for the next."""
    server = start(workers=2)
    place = server.folder / "run"
    app = server.folder / "app.lua"
    good = app.read_text()
    with working(server) as crowd:
        app.write_text("error('no bees today')")
        os.kill(crowd.pids[0], signal.SIGKILL)
        wait_until(lambda: status(server)["workers"][0]["storm"], 50, "a storm")
        worker, other = status(server)["workers"]
        board = beespace("status", run_dir=place).stdout
        app.write_text(good)
        mended = beespace("reload", run_dir=place)
        after = [one for one in status(server)["workers"] if one["state"] != "draining"]
        outcome = crowd.end()
    outcome.check(crowd.of(1), crowd.of(0))
    assert len(outcome.newcomers.failed) <= 1, outcome.newcomers.failed
    assert (worker["state"], worker["last_end"]["reason"]) == ("dead", "exit code 3")
    assert 20 < worker["next_start"] <= 30
    assert (other["state"], other["storm"]) == ("ready", False)
    line = next(line for line in board.splitlines() if line.startswith("worker 0 "))
    assert re.search(r"next start in \d+\.\d s; it dies again and again$", line), line
    delays = [
        line.split("restart_in=")[1] for line in server.lines("worker ended worker=0 reason=")
    ]
    assert delays == ["0.1s", "1s", "2s", "4s", "8s", "30s cause=it dies again and again"]
    assert (mended.returncode, mended.stdout) == (0, "reloaded, 2 new workers\n")
    assert [(one["state"], one["storm"]) for one in after] == [("ready", False)] * 2
