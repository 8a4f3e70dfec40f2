"""The command line: versions, help, one line for every mistake."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.wait import wait_until
from tests.server.conftest import ROOT, clean_environment


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "server", *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        env=clean_environment() | environment,
        cwd=ROOT,
    )


def test_version() -> None:
    done = run("--version")
    assert done.returncode == 0
    pattern = r"beespace \S+, LuaJIT 2\.1\.\d+, Python 3\.\d+\.\d+\S*\n"
    assert re.fullmatch(pattern, done.stdout), done.stdout + done.stderr


@pytest.mark.parametrize("words", [("--version",), ("config", "schema")])
def test_output_that_cannot_be_written(words: tuple[str, ...]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "server", *words],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=30,
            env=clean_environment(),
            cwd=ROOT,
        )
    told = "beespace: cannot write to the standard output: No space left on device\n"
    assert (done.returncode, done.stderr) == (1, told)


def test_version_is_not_taken_from_the_current_folder(tmp_path: Path) -> None:
    (tmp_path / "workers.py").write_text("print('trapped')")
    done = subprocess.run(
        [sys.executable, "-P", "-m", "server", "--version"],
        capture_output=True,
        text=True,
        timeout=30,
        env=clean_environment(),
        cwd=tmp_path,
    )
    assert "LuaJIT" in done.stdout, done.stderr


def test_without_a_command_there_is_help() -> None:
    done = run()
    assert done.returncode == 0
    assert "serve" in done.stdout


def catches(pid: int, number: signal.Signals) -> bool:
    status = Path(f"/proc/{pid}/status").read_text()
    caught = re.search(r"SigCgt:\s*([0-9a-f]+)", status)
    return caught is not None and bool(int(caught[1], 16) >> (number - 1) & 1)


LOADING = """
import runpy, signal, sys

class Slow:
    def find_spec(self, name, path, target=None):
        if name == "server.cli.command":
            signal.pause()

sys.meta_path.insert(0, Slow())
runpy.run_module("server", run_name="__main__")
"""
"""The server's program, which does not get beyond the loading of the command."""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_before_anything_is_started_ends_it_silently(
    tmp_path: Path, number: signal.Signals
) -> None:
    folders = ["--run-dir", str(tmp_path / "run"), "--data-dir", str(tmp_path / "data")]
    process = subprocess.Popen(
        [sys.executable, "-c", LOADING, "serve", "--listen", "127.0.0.1:0", *folders],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=clean_environment(),
        cwd=ROOT,
    )
    # SIGHUP is the last that is taken, and Python itself takes SIGINT when it starts.
    wait_until(lambda: catches(process.pid, signal.SIGHUP), what="handlers")
    process.send_signal(number)
    output, _ = process.communicate(timeout=20)
    assert (process.returncode, output) == (0, b"")
    assert not (tmp_path / "run").exists()


MISTAKES = [
    (["--nosuch"], "beespace: No such option: --nosuch"),
    (["nosuch"], "beespace: No such command 'nosuch'."),
    (["serve", "--workers"], "beespace: Option '--workers' requires an argument."),
    (
        ["serve", "--workers", "0"],
        (
            "beespace: iproto.threads: got '0', expected a number of workers from 1 to 256, "
            "or auto (--workers)"
        ),
    ),
    (
        ["serve", "no.lua"],
        (
            "beespace: app.file: got 'no.lua', expected the path of an existing Lua file "
            "(command line)"
        ),
    ),
]


@pytest.mark.parametrize(("arguments", "line"), MISTAKES)
def test_a_mistake_is_one_line_and_exit_code_2(arguments: list[str], line: str) -> None:
    done = run(*arguments)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", line + "\n")


def test_a_wrong_variable_is_one_line_and_exit_code_2() -> None:
    done = run("serve", BEESPACE_NOSUCH="1")
    assert done.returncode == 2
    assert done.stderr == (
        "beespace: BEESPACE_NOSUCH: got a value, expected no such variable (environment)\n"
    )


EARLY = """
import sys, types
from pathlib import Path
command = types.ModuleType("server.cli.command")
command.run = lambda: print(Path("/proc/self/cmdline").read_bytes().rstrip(b"\\0").decode())
sys.modules["server.cli.command"] = command
from server.cli import main
main()
"""


def test_a_password_leaves_the_list_of_processes_before_the_command_is_loaded() -> None:
    done = subprocess.run(
        [sys.executable, "-c", EARLY, "connect", "bob:s3cret@127.0.0.1:1", "--eval", "1"],
        capture_output=True,
        text=True,
        timeout=30,
        env=clean_environment(),
        cwd=ROOT,
    )
    assert (done.stdout, done.stderr) == ("beespace connect\n", "")


def test_no_command_waits_for_what_only_some_need() -> None:
    heavy = (
        "{'asyncio', 'multiprocess', 'psutil', 'pydantic', 'rich', 'sqlite3', 'textual', 'yaml'}"
    )
    code = f"import sys, server.cli.command; print({heavy} & {{*sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, cwd=ROOT
    )
    assert (done.stdout, done.stderr) == ("set()\n", "")
