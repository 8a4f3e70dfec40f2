"""Locks that processes share: bounded waits, holders that are killed, errors inside."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from shm import layout, regions
from shm.segment import Segment
from tests.helpers.lua import make_runtime
from tests.helpers.torture import rounds
from tests.rules.sources import ROOT
from workers.runtime import LuaFailureError, Runtime

ADDRESS = """
local ffi = require('ffi')
local locks = require('beespace.engine.locks')
local mutex = ffi.cast('void *', ...)
return {
  lock = function() return locks.lock(mutex, 'the test') end,
  unlock = function() locks.unlock(mutex) end,
  guarded = function(text)
    return locks.guarded(mutex, 'the test', function(...)
      if text == 'raise' then error('inside', 0) end
      return text, ...
    end, 1, nil, 3)
  end,
  inherited = function() return locks.inherited end,
}
"""


class Locker:
    """The event lock of a segment as one worker has it."""

    def __init__(self, segment: Segment, offset: int = layout.Header.event_lock.offset) -> None:
        self.runtime: Runtime = make_runtime()
        self.api = self.runtime.execute(ADDRESS, segment.address + offset)

    def call(self, name: str, *arguments: Any) -> Any:
        return self.runtime.call(self.api[name.encode()], *arguments)

    def take(self) -> bool:
        """Take the lock, also when a process that holds it was stalled for a while."""
        for _ in range(10):
            with contextlib.suppress(LuaFailureError):
                return bool(self.call("lock"))
        return bool(self.call("lock"))


@pytest.fixture
def locker(segment: Segment) -> Locker:
    return Locker(segment)


@contextmanager
def holder(
    segment: Segment, order: str = "hold", lock: str = "event_lock"
) -> Iterator[subprocess.Popen[str]]:
    """A process that holds a lock or takes it again and again."""
    command = [sys.executable, "-m", "tests.workers.lua.lock_holder", segment.name, order, lock]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() in ("held\n", "counting\n")
            yield process
        finally:
            process.kill()


def test_lock_and_unlock(locker: Locker) -> None:
    for _ in range(3):
        assert locker.call("lock") is False
        locker.call("unlock")


@pytest.mark.parametrize("row", [0, layout.MAX_WORKERS - 1])
def test_every_row_has_its_own(segment: Segment, locker: Locker, row: int) -> None:
    offset = regions.ROWS + row * layout.ROW.size + layout.Row.inbox_lock.offset
    other = Locker(segment, offset)
    with holder(segment):
        assert other.call("lock") is False
        other.call("unlock")


def test_who_waits_too_long_is_told(segment: Segment, locker: Locker) -> None:
    with holder(segment):
        before = time.monotonic()
        text = "the lock of the test was not free for 1 s: its holder hangs"
        with pytest.raises(LuaFailureError, match=text):
            locker.call("lock")
        assert 0.9 < time.monotonic() - before < 10


def test_the_lock_of_a_killed_holder_is_inherited(segment: Segment, locker: Locker) -> None:
    with holder(segment) as process:
        process.kill()
        process.wait(10)
    assert locker.call("lock") is True
    locker.call("unlock")
    assert locker.call("lock") is False
    locker.call("unlock")
    assert locker.call("inherited") == 1


def test_a_holder_that_is_killed_while_one_waits(segment: Segment, locker: Locker) -> None:
    with holder(segment) as process:
        subprocess.Popen(["/bin/sh", "-c", f"sleep 0.3; kill -9 {process.pid}"]).wait(10)
        assert locker.call("lock") is True
        locker.call("unlock")


def test_processes_killed_again_and_again_lose_no_lock(segment: Segment, locker: Locker) -> None:
    inherited = kills = 0

    def enough() -> bool:
        return kills >= 6 and segment.header.event_generation > 1000

    for _ in rounds(0, enough):
        with holder(segment, "count") as first, holder(segment, "count") as second:
            time.sleep(0.03)
            (first if kills % 2 else second).kill()
            kills += 1
            for _ in range(2000):
                inherited += locker.take()
                before = segment.header.event_generation
                assert segment.header.event_generation == before
                locker.call("unlock")
    assert enough()
    assert locker.call("inherited") == inherited


def test_an_error_inside_gives_the_lock_back(locker: Locker) -> None:
    assert locker.call("guarded", b"result") == (b"result", 1, None, 3)
    with pytest.raises(LuaFailureError, match=r"^inside$"):
        locker.call("guarded", b"raise")
    assert locker.call("lock") is False
    locker.call("unlock")


def test_who_lost_the_lock_by_an_error_gets_it_again(locker: Locker) -> None:
    assert locker.call("lock") is False
    assert locker.call("lock") is True
    locker.call("unlock")
    assert locker.call("lock") is False
    locker.call("unlock")
