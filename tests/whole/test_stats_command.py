"""``beespace stats``: figures of all processes, and totals that dead workers go on counting in."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path
from typing import Any

from tests.helpers.commands import beespace, status, stopped, told
from tests.helpers.raw import Raw
from tests.helpers.server import Server
from tests.helpers.terminal import CTRL_C, Terminal
from tests.helpers.wait import wait_until
from tests.whole.conftest import Start


def stats(server: Server, interval: float = 0) -> dict[str, Any]:
    found = told(server, "stats", "--interval", str(interval))
    assert isinstance(found, dict)
    return found


SIZE = r"\d+\.\d MiB"
FIGURES = rf"\d+\.\d% +{SIZE} +{SIZE} +\d+ +\d+ +[\d.,]+"
WORKER = rf"ready +{FIGURES} +\d+ +\d+ +{SIZE} +\d+\.\d ms +[\d.]+ +\d+ B +\d+ B"
BOARD = rf"""server       default, running, process \d+, up .+
sessions     \d+ of 65536
measured     for \d+\.\d s

 +pid  state .*
supervisor +\d+  [\w-]+ +{FIGURES} +- +- +- +- +- +- +-
acceptor +\d+  ready +{FIGURES} +- +- +- +- +- +- +-
worker 0 +\d+  {WORKER}
worker 1 +\d+  {WORKER}
resource tracker +\d+  [\w-]+ +{FIGURES} +- +- +- +- +- +- +-

 +total  per second
requests +[\d,]+ +[\d.]+
  pings +[\d,]+ +[\d.]+
(.+\n)+sessions ended +[\d,]+ +[\d.]+
(  .+\n)*"""


def test_what_people_see(shared: Server) -> None:
    done = beespace("stats", "--interval", "0.2", run_dir=shared.folder / "run")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(BOARD, done.stdout), done.stdout


def test_as_json(shared: Server) -> None:
    before = stats(shared)
    with Raw(shared.address) as client:
        client.ping()
        found = stats(shared, 0.2)
    assert f"127.0.0.1:{shared.port}" in found["server"]["listeners"]
    assert (found["server"]["phase"], found["server"]["max_sessions"]) == ("running", 65536)
    assert 0.2 <= found["seconds"] < 20
    for part, counter in (("totals", "pings"), ("acceptor", "claimed")):
        assert found[part]["counters"][counter] == before[part]["counters"][counter] + 1
        assert found[part]["rates"][counter] == 0
    assert [worker["number"] for worker in found["workers"]] == [0, 1]
    pids = {child.pid for child in shared.children()} | {shared.pid}
    assert {process["pid"] for process in found["processes"]} == pids
    assert all(process["rates"]["cpu"] >= 0 for process in found["processes"])
    assert (before["seconds"], before["totals"]["rates"]) == (None, None)
    assert {process["rates"] for process in before["processes"]} == {None}


def test_a_server_that_stands_still_is_shown_and_measured(start: Start) -> None:
    server = start(workers=2)
    with Raw(server.address) as client:
        client.ping()
        with stopped([server.pid, *(child.pid for child in server.children())]):
            (session,) = told(server, "sessions", "--idle-gt", "0.1")["sessions"]
            silent = wait_until(
                lambda: (found := stats(server))["server"]["silence"] > 3 and found,
                20,
                "a silent supervisor",
            )
            board = beespace("stats", "--interval", "0.1", run_dir=server.folder / "run")
    assert (session["user"], session["requests"], session["state"]) == ("guest", 1, "live")
    assert silent["totals"]["counters"]["pings"] == 1
    assert {process["figures"]["status"] for process in silent["processes"]} == {"stopped"}
    assert all(process["figures"]["rss"] > 1 << 20 for process in silent["processes"])
    assert re.match(r"server .* running, .*, silent for \d+\.\d s\n", board.stdout)
    assert len(re.findall(r"ready, stopped", board.stdout)) == 3


def test_totals_survive_a_worker(start: Start) -> None:
    server = start(workers=2)
    for _ in range(4):
        with Raw(server.address) as client:
            client.ping()
    before = stats(server)
    row = max(before["workers"], key=lambda worker: worker["counters"]["pings"])
    assert row["counters"]["pings"] >= 2
    os.kill(row["pid"], signal.SIGKILL)
    wait_until(lambda: status(server)["workers"][row["number"]]["restarts"] == 1, 15, "another one")
    after = stats(server)
    assert after["totals"]["counters"]["pings"] == before["totals"]["counters"]["pings"] == 4
    assert after["totals"]["counters"]["restarts"] == 1


def test_totals_survive_the_last_worker_that_a_reload_replaces(start: Start) -> None:
    server = start(workers=1)
    with Raw(server.address) as client:
        client.ping()
    assert beespace("restart-workers", run_dir=server.folder / "run").returncode == 0
    wait_until(lambda: len(stats(server)["workers"]) == 1, 15, "the end of the old one")
    found = stats(server)
    assert found["workers"][0]["counters"]["pings"] == 0
    assert found["totals"]["counters"]["pings"] == 1


def test_the_longest_turn_of_a_loop(shared: Server) -> None:
    spin = "local c = require('clock') local t = c.time() + 0.2 while c.time() < t do end"
    with Raw(shared.address) as client:

        def shown() -> bool:
            client.eval(spin)
            return bool(max(worker["loop_time"] for worker in stats(shared)["workers"]) >= 0.2)

        wait_until(shown, 20, "a long turn")


def test_watching(shared: Server, tmp_path: Path) -> None:
    words = ("stats", "--run-dir", str(shared.folder / "run"), "--watch", "--interval", "0.1")
    with Terminal(*words, state=tmp_path) as terminal:
        wait_until(lambda: terminal.lines[:1] and "default" in terminal.lines[0], 20, "a frame")
        terminal.type(CTRL_C)
        assert terminal.wait_for_end() == 0


def test_no_server_and_a_wrong_interval(tmp_path: Path) -> None:
    done = beespace("stats", run_dir=tmp_path)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == f"beespace: no server runs in {tmp_path}; give --run-dir or --name\n"
    done = beespace("stats", "--interval", "soon", run_dir=tmp_path)
    assert (done.returncode, done.stderr) == (
        2,
        "beespace: --interval: got 'soon', expected a number of seconds from 0 on\n",
    )
