"""One child process: start it, talk to it, see it end.

Children are started by ``multiprocess`` with the spawn method: a fresh interpreter that imports
``shm.launch`` and, through it, one module named in the call. The supervisor is the only caller.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, Final

from server.spare import Spare
from shm import channel, launch
from shm.channel import Channel
from shm.launch import Order, WorkerOrder
from shm.spawning import multiprocess

SPARE: Final = 16
"""Descriptors that it takes to start a child, generously; four of them stay open."""

_HELD_BACK: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Child:
    """A running child; ``fileno`` becomes readable when it has ended."""

    def __init__(self, role: str, process: Any, control: Channel) -> None:
        self.role = role
        self.control = control
        self.pid = int(process.pid)
        self.started = time.monotonic()
        self.ready = False
        self.sight: tuple[int, ...] | None = None
        """What it says of where its memory shows what it does, see shm.running."""
        self.hung = False
        """It was killed because it hung."""
        self._process = process
        # Not the process's sentinel: that is a pipe, and a process that outlives the child keeps
        # it open. A pidfd speaks of the child alone.
        self._pidfd = os.pidfd_open(self.pid)

    def fileno(self) -> int:
        """Descriptor, for a selector."""
        return self._pidfd

    def exit_code(self) -> int | None:
        """How it ended: its code, minus the signal that killed it, None while it runs."""
        # Not join(): it imports a module the first time, for which there may be no descriptor.
        code = self._process.exitcode
        return None if code is None else int(code)

    def kill(self) -> None:
        """End it at once."""
        self._signal(signal.SIGKILL)

    def terminate(self) -> None:
        """Ask it to end by a signal."""
        self._signal(signal.SIGTERM)

    def close(self) -> None:
        """Forget a child that has ended."""
        os.close(self._pidfd)
        self.control.close()
        self._process.close()

    def _signal(self, number: signal.Signals) -> None:
        try:
            signal.pidfd_send_signal(self._pidfd, number)
        except ProcessLookupError:
            return


def start(
    role: str,
    module: str,
    order_for: Callable[[socket.socket], Order],
    spare: Spare,
) -> Child:
    """Start a child that runs ``module.main(order)``.

    ``order_for`` gets the child's end of a new control channel and makes the order. Sockets in the
    order are duplicated into the child and stay open here. At the open-files limit ``spare`` makes
    it possible all the same. OSError when no process can be made.
    """
    with spare.lent():
        return _start(role, module, order_for)


def start_worker(
    role: str,
    module: str,
    order_for: Callable[[socket.socket, socket.socket], WorkerOrder],
    spare: Spare,
) -> tuple[Child, socket.socket]:
    """The same for a worker, whose order also gets the child's end of a new intake; our end."""
    with spare.lent():
        ours, theirs = channel.pair()
        try:
            return _start(role, module, lambda control: order_for(control, theirs)), ours
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()


def _start(role: str, module: str, order_for: Callable[[socket.socket], Order]) -> Child:
    ours, theirs = channel.pair()
    try:
        context = multiprocess.get_context("spawn")
        process = context.Process(
            target=launch.run,
            args=(module, order_for(theirs)),
            name=role,
            daemon=True,
        )
        with _no_main_module(), launch.only_installed_modules(), _signals_held_back():
            process.start()
    except BaseException:
        ours.close()
        raise
    finally:
        theirs.close()
    return Child(role, process, Channel(ours))


@contextmanager
def _no_main_module() -> Iterator[None]:
    """Hide our ``__main__`` while a child starts.

    A spawned child runs its parent's main module again under another name, for the sake of
    functions pickled from it. We pickle none, and a worker must never load the control plane.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


@contextmanager
def _signals_held_back() -> Iterator[None]:
    """Start the child with signals blocked; :func:`shm.launch.run` lets them through again.

    Otherwise Ctrl-C, which the terminal sends to every process, ends a starting child in a
    traceback.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _HELD_BACK)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
