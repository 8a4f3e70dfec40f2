"""A child that tells what its order says: started by test_launch.py in the place of a worker."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import msgpack

from shm.launch import WorkerOrder


def _descriptors() -> list[int]:
    names = [int(path.name) for path in Path("/proc/self/fd").iterdir()]
    return [fd for fd in names if Path(f"/proc/self/fd/{fd}").is_symlink()]


def main(order: WorkerOrder) -> None:
    """Send what is known over the control channel, and a word over all others."""
    fields = [order.index, order.count, order.name, order.version, order.segment, order.app]
    handled = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
    told = {
        "parent": os.getppid(),
        "order": [*fields, dict(order.settings)],
        "ignored": [s.name for s in handled if signal.getsignal(s) == signal.SIG_IGN],
        "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
        "inheritable": sorted(fd for fd in _descriptors() if os.get_inheritable(fd)),
    }
    order.control.send(msgpack.packb(told))
    order.intake.send(b"intake")
    for row, writer in enumerate(order.bus[1]):
        writer.send(b"to row %d" % row)
