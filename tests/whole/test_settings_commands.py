"""Commands about settings and logs: reload, reopen-logs, check, config."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.commands import beespace, states, status, told
from tests.helpers.raw import Raw
from tests.helpers.server import ROOT, Server, environment, refused
from tests.helpers.wait import wait_until
from tests.whole.conftest import Start

IN_A_FILE = {"log": {"to": "file", "file": "../log"}}
"""The file in which tests look for lines of a server."""


def have_open(file: Path, pids: set[int]) -> bool:
    """Whether all these processes have the file open that has the name now."""
    return all(any(is_same(fd, file) for fd in Path(f"/proc/{pid}/fd").iterdir()) for pid in pids)


def is_same(fd: Path, file: Path) -> bool:
    """Whether a descriptor, which may have been closed meanwhile, is of that file."""
    with contextlib.suppress(OSError):
        return fd.samefile(file)
    return False


def test_a_log_file_is_rotated(start: Start) -> None:
    server = start(workers=2, settings=IN_A_FILE)
    file = server.folder / "log"
    answer = status(server)
    everybody = {child["pid"] for child in (answer, answer["acceptor"], *answer["workers"])}
    assert have_open(file, everybody)
    old = file.rename(server.folder / "log.1")
    done = beespace("reopen-logs", run_dir=server.folder / "run")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"reopened {server.folder}/cwd/../log\n"
    wait_until(lambda: have_open(file, everybody), 10, "all have the new file")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "I> ready " in old.read_text()
    assert re.fullmatch(r".* supervisor I> log file reopened file=\S+/log\n", server.log)
    with Raw(server.address) as client:
        client.eval("print('still here')")
    assert len(server.lines("still here")) == 1


def test_a_reload_opens_the_log_file_anew(start: Start) -> None:
    server = start(workers=1, settings=IN_A_FILE)
    (server.folder / "log").rename(server.folder / "log.1")
    server.send_signal(signal.SIGHUP)
    wait_until((server.folder / "log").exists, 15, "a new file")
    wait_until(lambda: server.lines("reload: done"), 15, "the end of the reload")


def test_without_a_log_file_there_is_nothing_to_reopen(shared: Server) -> None:
    done = beespace("reopen-logs", run_dir=shared.folder / "run")
    assert (done.returncode, done.stdout) == (0, "the log has no file: nothing to do\n")


def test_a_log_file_that_cannot_be_opened(tmp_path: Path) -> None:
    file = tmp_path / "none" / "bee.log"
    code, output = refused(tmp_path, settings={"log": {"to": "file", "file": str(file)}})
    assert code == 1
    assert output == (
        f"beespace: log.file: got '{file}', expected a file that can be written: "
        "No such file or directory\n"
    )


def test_reload_and_restart_of_workers(start: Start) -> None:
    server = start(workers=2, settings={"name": "bee", "session": {"idle_timeout": 5}})
    run_dir = server.folder / "run"
    before = {worker["pid"] for worker in status(server)["workers"]}
    config = server.folder / "config.yaml"
    config.write_text("name: hive\nsession: {idle_timeout: 6}\ncompat: {session_results: new}\n")
    done = beespace("reload", run_dir=run_dir)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        "reloaded, 2 new workers\n"
        "in force at once: session.idle_timeout\n"
        "in force in new workers: compat.session_results\n"
        "needs a restart of the server: name\n"
    )
    assert told(server, "config", "show")["session.idle_timeout"] == {"value": 6.0}

    def alone() -> Any:
        """The new ones, when the old ones have ended."""
        workers = status(server)["workers"]
        return len(workers) == 2 and {worker["pid"] for worker in workers}

    after = wait_until(alone, 20, "end of the old workers")
    assert not before & after
    assert told(server, "restart-workers") == {"workers": 2}
    assert not after & wait_until(alone, 20, "end of the old workers")


def test_a_reload_that_fails(start: Start) -> None:
    server = start(workers=1, settings={"name": "bee"})
    (server.folder / "config.yaml").write_text("log: {level: loud}\n")
    done = beespace("reload", run_dir=server.folder / "run")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("beespace: log.level: got 'loud', expected one of fatal, ")


def test_the_number_of_workers(start: Start) -> None:
    server = start(workers=1, settings={"workers": {"max": 4}})
    run_dir = server.folder / "run"

    done = beespace("workers", "3", run_dir=run_dir)
    assert (done.returncode, done.stdout, done.stderr) == (0, "3 workers\n", "")
    assert states(server).count("ready") == len(server.worker_pids()) == 3
    done = beespace("workers", "+2", run_dir=run_dir)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("beespace: 2 new workers need as many rows, 1 are free: ")
    done = beespace("workers", "-2", run_dir=run_dir)
    assert (done.returncode, done.stdout) == (0, "1 worker\n")
    assert states(server).count("ready") == 1
    done = beespace("workers", "-1", run_dir=run_dir)
    assert (done.returncode, done.stderr) == (1, "beespace: one worker is the least, 1 serve\n")
    assert told(server, "workers", "1") == {"workers": 1}


@pytest.mark.parametrize("count", ["0", "-0", "x", "1.5", "--3", "٣"])
def test_what_is_no_number_of_workers(count: str, tmp_path: Path) -> None:
    done = beespace("workers", count, run_dir=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"beespace: workers: got {count!r}, expected a number of workers, such as 4, or of more or "
        "fewer ones, such as +1 or -1\n"
    )


def test_a_reload_that_the_stop_ends_is_told(start: Start, tmp_path: Path) -> None:
    slow = tmp_path / "slow"
    server = start(workers=1, app=f"if io.open('{slow}') then while true do end end")
    slow.touch()
    with begun("reload", server) as process:
        wait_until(lambda: "starting" in states(server), 10, "a new worker")
        assert told(server, "stop") == {"pid": server.pid, "stopped": True}
        out, error = process.communicate(timeout=20)
    assert (process.returncode, out, error) == (1, "", "beespace: the server stops\n")


@contextlib.contextmanager
def begun(command: str, server: Server) -> Iterator[subprocess.Popen[str]]:
    """A command whose answer takes a while."""
    words = [sys.executable, "-m", "server", command, "--run-dir", str(server.folder / "run")]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        words, stdout=pipe, stderr=pipe, text=True, env=environment(), cwd=ROOT
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def test_check(tmp_path: Path) -> None:
    file = tmp_path / "bee.yaml"
    file.write_text("name: hive\n")
    done = beespace("check", str(file))
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{file}: no mistakes\n", "")
    file.write_text("name: ''\nlog: {to: disk}\nprocess: {stop_timeout: -1}\n")
    done = beespace("check", str(file))
    assert (done.returncode, done.stdout) == (2, "")
    assert [line.split(" got ")[0] for line in done.stderr.splitlines()] == [
        "beespace: name:",
        "beespace: process.stop_timeout:",
        "beespace: log.to:",
    ]
    done = beespace("check", str(file), "--json")
    answer = json.loads(done.stdout)
    assert (done.returncode, answer["ok"], len(answer["problems"])) == (2, False, 3)
    assert beespace("check").returncode == 2


def test_config_show_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "bee.yaml"
    file.write_text("iproto: {threads: 2}\ncredentials: {users: {bob: {password: secret}}}\n")
    done = beespace("config", "show", str(file), BEESPACE_NAME="hive")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == 'name: "hive"  # environment BEESPACE_NAME'
    assert f"iproto.threads: 2  # {file}" in lines
    assert 'log.to: "stderr"  # defaults' in lines
    user = '{"bob": {"password": "***", "roles": []}}'
    assert f"credentials.users: {user}  # {file}" in lines
    assert "secret" not in done.stdout


def test_config_schema() -> None:
    done = beespace("config", "schema")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["properties"]["log"]["properties"]["to"]["default"] == "stderr"
