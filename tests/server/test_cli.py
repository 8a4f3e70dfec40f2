"""The command line: versions, help, one line for every mistake."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

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
        "beespace: BEESPACE_NOSUCH: got '1', expected no such variable (environment)\n"
    )
