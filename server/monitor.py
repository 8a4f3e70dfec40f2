"""Figures of the running processes: the only file that asks the operating system (psutil).

The supervisor samples the CPU of its workers once a second and writes it into their rows, where
the acceptor finds it. Of a process that hangs it asks what the system thinks of it.
"""

from __future__ import annotations

from collections.abc import Mapping

import psutil

_PERMILLE_OF_PERCENT = 10


class CpuSampler:
    """CPU use of a changing set of processes, each since it was last asked for."""

    def __init__(self) -> None:
        self._known: dict[int, psutil.Process | None] = {}

    def sample(self, pids: Mapping[int, int]) -> dict[int, int]:
        """Thousandths of one core by key, for ``pids`` (key to process id).

        A process seen for the first time, or gone, has 0.
        """
        self._known = {pid: self._known.get(pid) for pid in pids.values()}
        return {key: self._permille(pid) for key, pid in pids.items()}

    def _permille(self, pid: int) -> int:
        try:
            process = self._known[pid] or psutil.Process(pid)
            self._known[pid] = process
            return round(process.cpu_percent(None) * _PERMILLE_OF_PERCENT)
        except psutil.Error:
            return 0


def status(pid: int) -> str:
    """What the system says a process does: running, sleeping, disk-sleep, stopped, ..."""
    try:
        return str(psutil.Process(pid).status())
    except psutil.Error:
        return "gone"
