"""Every scenario of the suite runs, from the command line, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from bench import lua, run, targets
from bench.outcome import Outcome, Promise
from bench.packets import AnswerError
from bench.rounds import LEAST_ROUNDS, Plan
from bench.run import Wanted
from bench.suite import mixed
from bench.suite.context import Context
from bench.suite.registry import SUITE, Entry
from bench.targets import CHECKOUT, TargetError
from tests.helpers.wait import wait_until


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bench", *arguments],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )


def one(entry: Entry, **changes: object) -> run.Result:
    plain = Wanted([entry], "beespace:2", None, 1, 0.1, smoke=True, budget=None)
    (result,) = run.run(replace(plain, **changes), lambda _: None)  # type: ignore[arg-type]
    return result


@pytest.mark.timeout(180)
@pytest.mark.parametrize("name", SUITE)
def test_smoke(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    done = bench("run", name, "--smoke", "--reference", "none", "--report", str(folder))
    assert (done.returncode, done.stderr) == (0, "")
    assert f"== {name}: " in done.stdout
    found = json.loads((folder / "report.json").read_text())
    assert list(found["scenarios"]) == [name]
    assert "failure" not in found["scenarios"][name]


@pytest.mark.parametrize("kind", [TargetError, AnswerError, BrokenPipeError, lua.LuaError])
def test_a_scenario_that_fails_is_told_and_the_others_go_on(kind: type[Exception]) -> None:
    def fail(_: Context) -> Outcome:
        raise kind("it broke")

    entries = [Entry("broken", "breaks", fail, 1), Entry("fine", "works", lambda _: Outcome([]), 1)]
    wanted = Wanted(entries, "beespace:2", None, 1, 0.1, smoke=False, budget=None)
    broken, fine = run.run(wanted, lambda _: None)
    assert (broken.failure, broken.outcome) == ("it broke", None)
    assert fine.failure is None
    assert fine.outcome is not None


def test_a_server_given_by_uri_is_not_started() -> None:
    entry = Entry("own", "starts it", lambda _: Outcome([]), 1, own=True)
    result = one(entry, subject="127.0.0.1:3301")
    assert result.left_out == "starts servers of this checkout, 127.0.0.1:3301 is none"


@pytest.mark.parametrize("name", ["start", "idle"])
def test_a_reference_given_by_uri_is_left_out_where_servers_are_new(name: str) -> None:
    result = one(SUITE[name], reference="127.0.0.1:1")
    assert result.failure is None
    assert result.outcome is not None
    assert "127.0.0.1" not in result.outcome.tables[0].plain()


def test_one_worker_is_measured_without_another_one() -> None:
    result = one(SUITE["mixed"], subject="beespace:1")
    assert result.failure is None
    assert result.outcome is not None
    beside = [row[1] for row in result.outcome.tables[0].rows]
    assert beside == [mixed.QUIET, mixed.MIXED, mixed.SAME]


def test_a_smoke_run_judges_nothing() -> None:
    entry = Entry("made", "is made", lambda _: Outcome([], [Promise("x", 1, 0.5, "x")]), 1)
    (judged,) = run.promises([one(entry, smoke=False)])
    (unjudged,) = run.promises([one(entry)])
    assert (judged.met, unjudged.met) == (False, None)


def test_a_budget_leaves_out_rounds_that_are_not_needed() -> None:
    assert list(Plan(9, deadline=time.monotonic() - 1).turns()) == list(range(1, LEAST_ROUNDS + 1))
    assert list(Plan(9).turns()) == list(range(1, 10))
    assert list(Plan(2, deadline=0).turns()) == [1, 2]


def test_an_unknown_scenario_is_refused() -> None:
    done = bench("run", "nothing")
    assert done.returncode == 2
    assert "scenario 'nothing': expected all or one of throughput" in " ".join(done.stderr.split())


def test_ctrl_c_leaves_no_process_behind() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "bench", "run", "fibers", "--reference", "none"],
        cwd=CHECKOUT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    root = psutil.Process(process.pid)
    try:
        wait_until(lambda: len(root.children(recursive=True)) >= 4, 20, "the server")
        family = root.children(recursive=True)
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(20) != 0
        assert psutil.wait_procs(family, 20)[1] == []
    finally:
        process.kill()
        process.wait()


def test_a_second_ctrl_c_leaves_no_server_that_does_not_stop() -> None:
    stubborn = "import signal; signal.signal(15, signal.SIG_IGN); print(flush=True); signal.pause()"
    with subprocess.Popen([sys.executable, "-c", stubborn], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()

        def interrupted(_: float) -> int:
            del process.wait
            raise KeyboardInterrupt

        process.wait = interrupted  # type: ignore[method-assign, assignment]
        with pytest.raises(KeyboardInterrupt):
            targets._end(process)
        try:
            assert process.wait(10) == -signal.SIGKILL
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("text", "name"),
    [("beespace", "beespace:2"), ("3301", "127.0.0.1:3301"), ("unix/:/a", "unix/:/a")],
)
def test_a_target_has_one_name(text: str, name: str) -> None:
    assert targets.parse(text, None).name == name
