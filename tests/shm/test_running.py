"""What code runs, read from memory: this process's, and a child's that is stopped."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from shm.running import (
    STATEMENTS,
    Pulse,
    Running,
    Sight,
    Statement,
    look,
    memory_of,
    own_memory,
)
from tests.helpers.raw import CALL, ping, request

PACKETS = ping(1) * 700 + request({0: CALL, 1: 2}, {0x22: "work", 0x21: ["x" * 5000]})


class Memory:
    """A worker's head, as Lua would have it."""

    def __init__(self) -> None:
        self.pulse = Pulse(i=len(PACKETS), have=len(PACKETS) + 5)
        self.session = ctypes.c_double(0)
        self.input = ctypes.create_string_buffer(PACKETS + bytes(16))
        self.executed = (Statement * STATEMENTS)()
        places = self.pulse, self.session, self.input, self.executed
        self.sight = Sight(*map(ctypes.addressof, places))


def test_nothing_runs() -> None:
    assert look(own_memory, Memory().sight) is None


def test_a_request_runs() -> None:
    memory = Memory()
    memory.pulse.in_request, memory.session.value = 1, 41
    assert look(own_memory, memory.sight) == Running(41, "call work")


def test_a_fiber_runs() -> None:
    memory = Memory()
    memory.pulse.away = 1
    assert look(own_memory, memory.sight) == Running(0, "a fiber")


def test_a_console_runs() -> None:
    memory = Memory()
    memory.pulse.away, memory.session.value = 1, 41
    memory.executed[41 % STATEMENTS] = Statement(41, "fé()".encode())
    assert look(own_memory, memory.sight) == Running(41, "console: fé()")
    memory.session.value = 41 + STATEMENTS
    assert look(own_memory, memory.sight) == Running(41 + STATEMENTS, "a fiber")


CHILD = """
import os, signal
from dataclasses import astuple
from tests.shm.test_running import Memory
memory = Memory()
memory.pulse.in_request, memory.session.value = 1, 2**40
print(*astuple(memory.sight), flush=True)
os.kill(os.getpid(), signal.SIGSTOP)
"""


@contextmanager
def stopped_child() -> Iterator[tuple[int, Sight]]:
    child = subprocess.Popen([sys.executable, "-c", CHILD], stdout=subprocess.PIPE)
    try:
        assert child.stdout is not None
        addresses = child.stdout.readline().split()
        os.waitid(os.P_PID, child.pid, os.WSTOPPED | os.WNOWAIT)
        yield child.pid, Sight(*map(int, addresses))
    finally:
        child.send_signal(signal.SIGKILL)
        child.communicate()


def test_a_child_that_is_stopped() -> None:
    with stopped_child() as (pid, sight), memory_of(pid) as read:
        assert look(read, sight) == Running(2**40, "call work")
        with pytest.raises(OSError, match="Input/output"):
            look(read, Sight(64, 64, 64, 64))


def test_a_process_that_is_gone() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    with pytest.raises(OSError, match="No such"), memory_of(child.pid):
        pass
