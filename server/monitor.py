"""Figures of the running processes: the only file that asks the operating system (psutil).

The supervisor samples the CPU of its workers once a second and writes it into their rows, where
the acceptor finds it. Of a process that hangs it asks what the system thinks of it. Who looks at a
server from outside asks for the figures of its processes.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

_PERMILLE_OF_PERCENT = 10
_TIMES = 8
"""Kinds of time; those of guests, which come after them, are part of them."""


class CpuSampler:
    """CPU use of a changing set of processes, each since it was last asked for."""

    def __init__(self) -> None:
        self._known: dict[int, psutil.Process | None] = {}

    def sample(self, pids: Mapping[int, int]) -> dict[int, int]:
        """Thousandths of one core by key, for ``pids`` (key to process id).

        A process seen for the first time, or gone, has 0, and so have all when the system lets
        nobody look: this process may have as many open files as it may have.
        """
        self._known = {pid: self._known.get(pid) for pid in pids.values()}
        return {key: self._permille(pid) for key, pid in pids.items()}

    def _permille(self, pid: int) -> int:
        try:
            process = self._known[pid] or psutil.Process(pid)
            self._known[pid] = process
            return round(process.cpu_percent(None) * _PERMILLE_OF_PERCENT)
        except (psutil.Error, OSError):
            return 0


def status(pid: int) -> str:
    """What the system says a process does: running, sleeping, disk-sleep, stopped, ..."""
    try:
        return str(psutil.Process(pid).status())
    except psutil.Error:
        return "gone"
    except OSError as error:
        return f"unknown: {error.strerror}"


@dataclass(frozen=True)
class Figures:
    """What the system tells of a process; None is what this user may not know."""

    status: str
    """running, sleeping, disk-sleep, stopped, zombie, ..."""
    cpu: float
    """Seconds of CPU that it has used, its children's not counted."""
    rss: int
    """Bytes of memory it has, what it shares with others counted, too."""
    uss: int | None
    """Bytes that would be free without it."""
    threads: int
    fds: int | None
    """Open descriptors."""
    voluntary: int
    """Context switches because it waited."""
    involuntary: int
    """Context switches because its time was over."""
    user: float = 0.0
    """The part of ``cpu`` that its own code took."""
    ended: tuple[float, float] = (0.0, 0.0)
    """Seconds of CPU, in their own code and in the system, of its children that have ended."""
    virtual: int = 0
    """Bytes of addresses in use."""


def figures(pid: int, *, uss: bool = True) -> Figures | None:
    """All figures of a process, None when it is gone.

    ``uss`` is the dear one: the system goes through all memory of the process, which waits for it
    when it wants more meanwhile.
    """
    try:
        process = psutil.Process(pid)
        with process.oneshot():
            times, switches = process.cpu_times(), process.num_ctx_switches()
            memory = process.memory_info()
            return Figures(
                process.status(),
                times.user + times.system,
                memory.rss,
                _uss(process) if uss else None,
                process.num_threads(),
                _fds(process),
                switches.voluntary,
                switches.involuntary,
                times.user,
                (times.children_user, times.children_system),
                memory.vms,
            )
    except psutil.Error:
        return None


@dataclass(frozen=True)
class Machine:
    """What there is, and what of it was used."""

    cpus: int
    seconds: float
    """CPU time of all CPUs since the machine started, that in which they were idle included."""
    hertz: int
    """Clock ticks of the system in a second."""


def machine() -> Machine:
    """The machine that this process runs on."""
    seconds = sum(psutil.cpu_times()[:_TIMES])
    return Machine(psutil.cpu_count() or 1, seconds, os.sysconf("SC_CLK_TCK"))


def children(pid: int) -> list[tuple[int, str]]:
    """Ids of the processes that a process has started, with their titles."""
    try:
        return [(each.pid, _title(each)) for each in psutil.Process(pid).children()]
    except psutil.Error:
        return []


def has_mapped(pid: int, file: Path) -> bool:
    """Whether a process has a file in its memory; where nobody may know, whether it lives."""
    try:
        if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return False
        return str(file) in Path(f"/proc/{pid}/maps").read_text(errors="surrogateescape")
    except PermissionError:
        return True
    except (OSError, psutil.Error):
        return False


def _uss(process: psutil.Process) -> int | None:
    try:
        return int(process.memory_full_info().uss)
    except psutil.AccessDenied:
        return None


def _fds(process: psutil.Process) -> int | None:
    """How many descriptors; a system from before Linux 6.2 has to list them, all 15,000 perhaps."""
    try:
        return Path(f"/proc/{process.pid}/fd").stat().st_size or process.num_fds()
    except (psutil.AccessDenied, PermissionError):
        return None
    except FileNotFoundError as error:
        raise psutil.NoSuchProcess(process.pid) from error


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline()) or process.name()
    except psutil.Error:
        return "?"
