"""What a server's processes use, from outside: CPU seconds and memory of a process tree.

Called by ``bench.client`` around a round, by ``bench.idle`` and ``bench.scrape``. Everything is
read from /proc; a process that ended in between counts as nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

import psutil

_NANOSECONDS: Final = 1e9
_PROC: Final = Path("/proc")
_TITLE: Final = "beespace: "
_COUNTED: Final = frozenset({"Pss_Anon", "Pss_Shmem"})


def tree(pid: int) -> tuple[int, ...]:
    """``pid`` and everything below it."""
    try:
        root = psutil.Process(pid)
        return (pid, *(child.pid for child in root.children(recursive=True)))
    except psutil.NoSuchProcess:
        return ()


def listener_pid(port: int) -> int | None:
    """Root of the server that listens on ``port`` of this machine, None when not visible.

    Processes of one name, or with a title of beespace, are one server; this process and those that
    started it are none of it.
    """
    pids = {
        found.pid
        for found in psutil.net_connections("tcp")
        if found.status == psutil.CONN_LISTEN and found.laddr and found.laddr.port == port
    }
    others = {os.getpid(), *(each.pid for each in psutil.Process().parents())}
    with suppress(psutil.Error):
        for pid in sorted(each for each in pids if each is not None):
            process = psutil.Process(pid)
            while (parent := process.parent()) is not None and parent.pid not in others:
                if parent.name() != process.name() and not _are_beespace(parent, process):
                    break
                process = parent
            return int(process.pid)
    return None


def _are_beespace(*processes: psutil.Process) -> bool:
    return all(" ".join(each.cmdline()).startswith(_TITLE) for each in processes)


def cpu_seconds(pid: int) -> float:
    """CPU time the tree below ``pid`` has used, in seconds."""
    return sum(process_cpu(each) for each in tree(pid))


def process_cpu(pid: int) -> float:
    """CPU seconds of one process.

    The scheduler's own count where the kernel shows it, else clock ticks (1/100 s).
    """
    try:
        files = list((_PROC / str(pid) / "task").glob("*/schedstat"))
        if files:
            return sum(int(file.read_text().split()[0]) for file in files) / _NANOSECONDS
        times = psutil.Process(pid).cpu_times()
        return float(times.user + times.system)
    except (OSError, psutil.Error):
        return 0.0


def machine_seconds() -> float:
    """CPU time the whole machine has used since it started, time stolen by its host included."""
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - times.iowait - times.guest - times.guest_nice)


def memory_bytes(pids: Iterable[int]) -> int:
    """Memory the processes fill: anonymous and shared memory by proportional set size.

    Shared pages count once, the kernel's memory not at all. Pages of files (program code) are left
    out: their share changes whenever any process of the machine maps the same file.
    """
    return sum(_filled(pid) for pid in pids)


def _filled(pid: int) -> int:
    try:
        text = (_PROC / str(pid) / "smaps_rollup").read_text()
    except OSError:
        return 0
    lines = (line.partition(":") for line in text.splitlines())
    return sum(int(value.split()[0]) * 1024 for name, _, value in lines if name in _COUNTED)
