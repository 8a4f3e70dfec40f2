"""Descriptors and memory of a server's processes, before and after.

    settled server --take()--> Gauges after warm-up, after the faults, at the end --grown()--> names

What counts as growth, and why, is with the bounds below. Memory is what a process has for itself
(USS): the segment is everybody's.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import psutil

from tests.helpers.server import Server

MIB: Final = 1 << 20


@dataclass(frozen=True)
class Gauge:
    """One process."""

    pid: int
    role: str
    """supervisor, acceptor, worker, or the name of another process."""
    fds: int
    memory: int
    """Bytes."""


def take(server: Server) -> list[Gauge]:
    """All processes of a server."""
    processes = [psutil.Process(server.pid), *server.children()]
    found = []
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            role = role_of(process.cmdline())
            memory = process.memory_full_info().uss
            found.append(Gauge(process.pid, role, process.num_fds(), memory))
    return found


def role_of(words: Sequence[str]) -> str:
    """The role that a command line tells."""
    line = " ".join(words)
    named = re.match(r"beespace: ([a-z]+)", line)
    if named:
        return named[1]
    return "tracker" if "resource_tracker" in line else line[:40]


def by_role(gauges: Sequence[Gauge]) -> Mapping[str, list[Gauge]]:
    """The processes of each role."""
    roles: dict[str, list[Gauge]] = {}
    for gauge in gauges:
        roles.setdefault(gauge.role, []).append(gauge)
    return roles
