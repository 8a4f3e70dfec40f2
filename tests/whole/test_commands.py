"""What ``beespace status`` and ``stop`` tell, and that they do it whatever state a server is in."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.helpers.commands import asked, beespace, status, stopped, told
from tests.helpers.raw import CALL, Raw, ping, request
from tests.helpers.server import ROOT, Server, alive, environment, running
from tests.helpers.wait import wait_until
from tests.whole.conftest import Start
from tests.whole.crews import spread


def test_its_socket_is_private_and_recorded(shared: Server) -> None:
    path = shared.folder / "run" / "supervisor.sock"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    state = json.loads((shared.folder / "run" / "server.json").read_text())
    assert state["commands"] == str(path)


BOARD = r"""server       default, running, process \d+, beespace \S+
since        \d{4}-\d\d-\d\d \d\d:\d\d:\d\d \(.+\)
listeners    127\.0\.0\.1:\d+, unix/:/\S+/socket(, \[::1\]:\d+)?
consoles     unix/:RUN/console\.sock
control      RUN/control\.sock
application  /\S+/tests/data/whole_app\.lua
run dir      RUN
data dir     DATA
catalog      DATA/catalog\.sqlite
sessions     \d+ of 65536, 0 refused
ended        (none|\d+: .*)

 +pid  state  sessions  restarts +loop  last end
acceptor +\d+  ready         -         0  \d+\.\d s  -
worker 0 +\d+  ready +\d+         0  \d+\.\d s  -
worker 1 +\d+  ready +\d+         0  \d+\.\d s  -
"""


ENDS = "function nap() require('fiber').sleep(20) end"


def test_the_board(shared: Server) -> None:
    done = beespace("status", run_dir=shared.folder / "run")
    wanted = BOARD.replace("RUN", re.escape(str(shared.folder / "run")))
    wanted = wanted.replace("DATA", re.escape(str(shared.folder / "data")))
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(wanted, done.stdout), done.stdout


def test_the_same_as_json(shared: Server) -> None:
    with contextlib.ExitStack() as stack:
        spread(shared, stack, 2, each=2)
        answer = told(shared, "status")
        counts = [worker["sessions"] for worker in answer["workers"]]
        assert answer["sessions"] == sum(counts) >= 4
        assert min(counts) >= 2
    pids = {worker["number"]: worker["pid"] for worker in answer["workers"]}
    assert pids == shared.worker_pids()
    children = {child.pid for child in shared.children()}
    assert {answer["acceptor"]["pid"], *pids.values()} <= children
    assert (answer["pid"], answer["state"]) == (shared.pid, "running")
    worker = answer["workers"][0]
    assert list(worker) == [
        "number",
        "row",
        "pid",
        "state",
        "sessions",
        "restarts",
        "turned",
        "last_end",
        "next_start",
        "storm",
    ]
    assert (worker["last_end"], worker["next_start"], worker["storm"]) == (None, None, False)


def test_how_many_sessions_have_ended_and_why(start: Start) -> None:
    """Also those whose worker died, and those whose last request still runs."""
    settings = {"session": {"login_timeout": 3}}
    server = start(workers=1, settings=settings, app=ENDS)
    assert set(told(server, "status")["ended"].values()) == {0}
    assert "\nended        none\n" in beespace("status", run_dir=server.folder / "run").stdout
    nap = request({0: CALL, 1: 1}, {0x22: "nap", 0x21: []})
    with contextlib.ExitStack() as stack:
        left, broken, naps, lost, *silent = (
            stack.enter_context(Raw(server.address, first=first))
            for first in (ping(1), ping(1), nap, ping(1), b"", b"")
        )
        for one in (left, broken, lost):
            assert one.packet().sync == 1
        left.close()
        naps.close()
        broken.send(b"\xa5hello")
        lost.send(nap)
        for one in silent:
            one.wait_closed()
        wait_until(lambda: sum(status(server)["ended"].values()) == 5, 10, "ends")
        os.kill(status(server)["workers"][0]["pid"], signal.SIGKILL)
        wait_until(lambda: status(server)["ended"]["worker_died"], 10, "an end more")
    found = {name: count for name, count in told(server, "status")["ended"].items() if count}
    assert found == {"client": 2, "error": 1, "login_timeout": 2, "worker_died": 1}
    board = beespace("status", run_dir=server.folder / "run").stdout
    assert "\nended        6: 2 login_timeout, 2 client, 1 worker_died, 1 error\n" in board


def test_status_while_all_other_processes_stand_still(start: Start) -> None:
    server = start(workers=2)
    before = status(server)
    everybody = [before["acceptor"], *before["workers"]]
    with stopped([child["pid"] for child in everybody]):

        def still() -> Any:
            answer = status(server)
            ages = [child["turned"] for child in (answer["acceptor"], *answer["workers"])]
            # None: that loop was not looked at yet.
            return all(age is not None and age > 1.5 for age in ages) and answer

        answer = wait_until(still, 10, "loops that do not turn")
        assert [worker["state"] for worker in answer["workers"]] == ["ready", "ready"]
        board = beespace("status", run_dir=server.folder / "run")
        assert board.returncode == 0
    wait_until(lambda: max(w["turned"] for w in status(server)["workers"]) < 1.5, 10, "turns")


def test_status_tells_how_a_process_ended(start: Start) -> None:
    server = start(workers=2)
    before = status(server)
    for child in (before["acceptor"], before["workers"][1]):
        os.kill(child["pid"], signal.SIGKILL)

    def back() -> Any:
        answer = status(server)
        both = answer["acceptor"], answer["workers"][1]
        return all(c["state"] == "ready" and c["restarts"] == 1 for c in both) and both

    for child in wait_until(back, 15, "others in their place"):
        assert child["last_end"]["reason"] == "killed by signal 9"
        assert before["started"] < child["last_end"]["time"] < before["started"] + 60
        assert (child["next_start"], child["storm"]) == (None, False)
    assert status(server)["workers"][0]["restarts"] == 0


def test_a_worker_that_starts_has_no_sessions_of_a_dead_one(start: Start, tmp_path: Path) -> None:
    app = f"""
    local began = io.open('{tmp_path}/began')
    while began and not io.open('{tmp_path}/go') do require('fiber').sleep(0.01) end
    """
    server = start(workers=1, app=app)
    (tmp_path / "began").touch()
    with contextlib.ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(Raw(server.address)).ping()
        (worker,) = status(server)["workers"]
        assert worker["sessions"] == 3
        os.kill(worker["pid"], signal.SIGKILL)
        states = []

        def back() -> bool:
            answer = status(server)
            (found,) = answer["workers"]
            states.append((found["state"], found["sessions"], answer["sessions"]))
            if states.count(("starting", 0, 0)) == 20:
                (tmp_path / "go").touch()
            return bool(found["pid"] != worker["pid"] and found["state"] == "ready")

        wait_until(back, 20, "another worker", longest=0.005)
    assert ("starting", 0, 0) in states
    assert {each[1:] for each in states if each[0] == "starting"} == {(0, 0)}


def test_status_tells_when_a_broken_worker_is_started_again(start: Start, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    server = start(workers=2, app=f"if io.open('{broken}') then error('no bees') end")
    broken.touch()
    os.kill(status(server)["workers"][0]["pid"], signal.SIGKILL)

    def waits() -> Any:
        worker = status(server)["workers"][0]
        known = worker["last_end"] and worker["last_end"]["reason"] == "exit code 3"
        return known and worker["next_start"] and worker

    worker = wait_until(waits, 15, "back-off")
    assert (worker["pid"], worker["state"], worker["sessions"]) == (None, "dead", 0)
    assert 0 < worker["next_start"] <= 30

    def shown() -> Any:
        board = beespace("status", run_dir=server.folder / "run").stdout
        return re.search(r"\nworker 0 +- .*exit code \d; next start in \d+\.\d s\n", board)

    # Between two tries; the next one may have begun meanwhile.
    wait_until(shown, 30, "a line of the board")


def begun(place: Path) -> dict[str, Any] | None:
    """Status of a server that may have no socket yet."""
    done = beespace("status", "--json", run_dir=place)
    return json.loads(done.stdout) if done.returncode == 0 else None


def test_status_and_stop_while_it_starts(tmp_path: Path) -> None:
    app = tmp_path / "app.lua"
    app.write_text(f"while not io.open('{tmp_path}/go') do end")
    folders = ["--run-dir", str(tmp_path / "run"), "--data-dir", str(tmp_path / "data")]
    words = ["serve", str(app), "--listen", "127.0.0.1:0", "--workers", "2", *folders]
    process = subprocess.Popen(
        [sys.executable, "-m", "server", *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment(),
        cwd=ROOT,
    )
    try:
        answer = wait_until(lambda: begun(tmp_path / "run"), 20, "an answer") or {}
        assert answer["state"] == "booting"
        assert answer["acceptor"]["state"] == "absent"
        assert [worker["state"] for worker in answer["workers"]] == ["starting", "absent"]
        done = beespace("stop", run_dir=tmp_path / "run")
        assert (done.returncode, done.stdout) == (0, f"stopped process {process.pid}\n")
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.wait()


WAITS = """
local fiber = require('fiber')
box.ctl.on_shutdown(function()
  while not io.open('{go}') do fiber.sleep(0.01) end
end)
"""


def test_stop_waits_until_the_process_is_gone(start: Start, tmp_path: Path) -> None:
    settings = {"process": {"stop_timeout": 20}}
    server = start(workers=2, app=WAITS.format(go=tmp_path / "go"), settings=settings)
    below = server.children()
    late = beespace("stop", "--timeout", "0.3", run_dir=server.folder / "run")
    assert (late.returncode, late.stdout) == (1, "")
    assert late.stderr == f"beespace: process {server.pid} still runs after 0.3 s\n"
    answer = status(server)
    assert (answer["state"], answer["acceptor"]["state"]) == ("stopping", "dead")
    assert [worker["state"] for worker in answer["workers"]] == ["stopping", "stopping"]
    again = asked(server, "stop")["answer"]
    assert again == {"pid": server.pid, "within": pytest.approx(21.7)}
    (tmp_path / "go").touch()
    assert server.process.wait(10) == 0
    wait_until(lambda: not alive(below), 10, "the end of all")
    assert list((server.folder / "run").iterdir()) == []
    assert len(server.lines("I> stopping command=stop")) == 1


def test_stop_of_a_server_whose_workers_stand_still(start: Start) -> None:
    server = start(workers=2, settings={"process": {"stop_timeout": 0.2}})
    with stopped([worker["pid"] for worker in status(server)["workers"]]):
        assert told(server, "stop") == {"pid": server.pid, "stopped": True}
    assert server.process.wait(10) == 0


def test_a_supervisor_that_stands_still(start: Start) -> None:
    server = start(workers=1)
    with stopped([server.pid]):
        wait_until(lambda: psutil.Process(server.pid).status() == psutil.STATUS_STOPPED)
        done = beespace("stop", "--timeout", "0.5", run_dir=server.folder / "run")
    place = server.folder / "run"
    assert done.returncode == 1
    assert done.stderr == (
        f"beespace: the server in {place} (process {server.pid}) does not answer\n"
    )
    server.process.wait(10)


@pytest.mark.parametrize("command", ["status", "stop"])
def test_nobody_is_there(tmp_path: Path, command: str) -> None:
    done = beespace(command, run_dir=tmp_path)
    assert (done.returncode, done.stdout) == (3, "")
    line = f"beespace: no server runs in {tmp_path}; give --run-dir or --name\n"
    assert done.stderr == line


def test_a_server_is_found_by_its_name(tmp_path: Path) -> None:
    done = beespace("status", "--name", "hive", XDG_RUNTIME_DIR=str(tmp_path))
    assert done.returncode == 3
    assert f"no server runs in {tmp_path}/beespace/hive;" in done.stderr
    done = beespace("status", BEESPACE_RUN_DIR=str(tmp_path / "elsewhere"))
    assert f"no server runs in {tmp_path}/elsewhere;" in done.stderr


def test_a_killed_server_is_not_running(tmp_path: Path) -> None:
    with running(tmp_path, workers=1) as server:
        run_dir = server.folder / "run"
        below = server.children()
        server.send_signal(signal.SIGKILL)
        server.process.wait(5)
        wait_until(lambda: not alive(below), 10, "the end of all")
        assert (run_dir / "supervisor.sock").is_socket()
        done = beespace("status", run_dir=run_dir)
        assert (done.returncode, "no server runs" in done.stderr) == (3, True)
    with running(tmp_path, workers=1, arguments=["--run-dir", str(run_dir)]) as server:
        assert server.lines(f"left leftover=socket {run_dir}/supervisor.sock")


def test_a_command_that_nobody_knows(shared: Server) -> None:
    answer = asked(shared, "dance")
    assert answer["ok"] is False
    assert answer["error"].startswith("no command 'dance', expected one of ")
