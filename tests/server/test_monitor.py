"""Figures of processes: CPU in thousandths, processes that are gone."""

from __future__ import annotations

import mmap
import os
import signal
import stat as stats
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from server import monitor
from server.monitor import CpuSampler
from tests.helpers.descriptors import no_descriptors
from tests.helpers.wait import wait_until


def test_a_busy_process_shows() -> None:
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    sampler = CpuSampler()
    try:
        assert sampler.sample({1: process.pid}) == {1: 0}
        wait_until(lambda: sampler.sample({1: process.pid})[1] > 100, what="CPU use")
    finally:
        process.kill()
        process.wait()
    assert sampler.sample({1: process.pid}) == {1: 0}
    assert sampler.sample({}) == {}


def test_without_a_descriptor_there_are_no_figures() -> None:
    sampler, me = CpuSampler(), os.getpid()
    with no_descriptors():
        assert sampler.sample({1: me}) == {1: 0}
        assert monitor.status(me) == "unknown: Too many open files"
    assert monitor.status(me) == "running"


def test_figures_of_a_process_while_it_is_stopped_and_when_it_is_gone() -> None:
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        wait_until(lambda: (told := monitor.figures(process.pid)) and told.cpu > 0.05, what="CPU")
        os.kill(process.pid, signal.SIGSTOP)
        wait_until(lambda: monitor.status(process.pid) == "stopped", what="stopped")
        told = monitor.figures(process.pid)
        assert told is not None
        assert (told.status, told.threads, told.cpu > 0.05) == ("stopped", 1, True)
        assert told.rss > (told.uss or 0) > 1 << 20
        assert (told.fds or 0) >= 3
        assert told.voluntary + told.involuntary > 0
        assert [pid for pid, _ in monitor.children(os.getpid())].count(process.pid) == 1
        titles = dict(monitor.children(os.getpid()))
        assert titles[process.pid].endswith("-c while True: pass")
    finally:
        process.kill()
        process.wait()
    assert monitor.figures(process.pid) is None
    assert monitor.children(process.pid) == []


def test_figures_of_this_process_and_its_children_that_have_ended() -> None:
    before = monitor.figures(os.getpid())
    subprocess.run([sys.executable, "-c", "sum(range(3_000_000))"], check=True)
    after = monitor.figures(os.getpid(), uss=False)
    assert before is not None
    assert after is not None
    assert before.uss is not None
    assert after.uss is None
    assert 0 < after.user <= after.cpu
    assert after.virtual > after.rss
    assert sum(after.ended) > sum(before.ended)


@pytest.mark.parametrize("told", [True, False])
def test_descriptors_are_counted_whether_the_system_does_or_not(
    told: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not told:
        old = Path.stat

        def stat(path: Path, **options: bool) -> os.stat_result:
            found = list(old(path, **options))
            found[stats.ST_SIZE] = 0
            return os.stat_result(found)

        monkeypatch.setattr(Path, "stat", stat)
    words = [sys.executable, "-c", "print(1, flush=True); input()"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        figures = monitor.figures(process.pid, uss=False)
        assert figures is not None
        assert figures.fds == psutil.Process(process.pid).num_fds()
        process.communicate(b"\n")


def test_the_machine() -> None:
    machine = monitor.machine()
    assert machine.cpus == psutil.cpu_count()
    assert machine.hertz >= 100
    wait_until(lambda: monitor.machine().seconds > machine.seconds > 0, what="time")


def test_who_has_mapped_a_file(tmp_path: Path) -> None:
    file = tmp_path / "mapped"
    file.write_bytes(bytes(4096))
    assert not monitor.has_mapped(os.getpid(), file)
    with file.open("r+b") as opened, mmap.mmap(opened.fileno(), 4096):
        assert monitor.has_mapped(os.getpid(), file)
    assert not monitor.has_mapped(os.getpid(), file)


def test_a_process_that_nobody_has_waited_for_has_mapped_nothing(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    try:
        wait_until(lambda: monitor.status(process.pid) == "zombie", what="its end")
        assert not monitor.has_mapped(process.pid, tmp_path)
    finally:
        process.wait()
    assert not monitor.has_mapped(process.pid, tmp_path)
