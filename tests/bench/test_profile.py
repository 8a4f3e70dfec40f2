"""Profiles: what is read of the profilers' answers, and one run of all that is installed."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

from bench import profile
from bench.targets import CHECKOUT

PERF = """
    27.20%  [kernel.kallsyms]     [k] finish_task_switch.isra.0             -      -
     3.90%  libc.so.6             [.] __memcmp_evex_movbe                   -      -
     1.00%  worker-0              [.] 0x00007f1234   -   -
# a comment
"""


def test_symbols_of_perf() -> None:
    assert profile.symbols(PERF) == [
        ("27.2%", "kernel", "finish_task_switch.isra.0"),
        ("3.9%", "libc.so.6", "__memcmp_evex_movbe"),
        ("1.0%", "worker-0", "0x00007f1234"),
    ]


def test_a_worker_that_did_nothing() -> None:
    table = profile.states_table([{"states": [], "places": []}, {"states": {"N": 3, "I": 1}}])
    assert [row[2:4] for row in table.rows] == [("0%", "0%"), ("75%", "25%")]


def test_a_name_is_listed_once() -> None:
    assert len(set(profile.names())) == len(profile.names())


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bench", "profile", *arguments],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=55,
        check=False,
    )


def profiled(name: str, line: str) -> str:
    """What is printed; it has such a line, in a longer profile if the first one saw too little."""
    for seconds in ("0.5", "2.5"):
        done = bench(name, "--seconds", seconds)
        assert (done.returncode, done.stderr) == (0, "")
        if line in done.stdout.partition("Lua: lines")[2]:
            return done.stdout
    raise AssertionError(f"no line with {line!r}:\n{done.stdout}")


@pytest.mark.timeout(120)
def test_a_profile_of_everything_that_is_there() -> None:
    told = profiled("exists", "beespace/engine/")
    for title in ("CPU of the server's processes", "Lua: where the machine was", "Lua: lines"):
        assert title in told
    assert ("perf is not installed" in told) is (shutil.which("perf") is None)


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("name", "file"),
    [("push", "engine/"), ("lookup", "lua:"), ("list", "engine/"), ("console", "")],
)
def test_scenarios_that_are_no_closed_loop(name: str, file: str) -> None:
    profiled(name, file)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["nothing"], "scenario 'nothing': expected one of throughput"),
        (["exists", "--target", "127.0.0.1:3301"], "expected beespace[:WORKERS]"),
    ],
)
def test_what_cannot_be_profiled_is_refused(arguments: list[str], complaint: str) -> None:
    done = bench(*arguments)
    assert done.returncode == 2
    told = "".join(done.stderr.replace("│", "").split())
    assert complaint.replace(" ", "") in told
