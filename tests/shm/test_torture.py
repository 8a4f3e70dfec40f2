"""No reader ever gets a peer for the wrong id, while slots change hands at full speed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import deque

import pytest

from shm import layout
from shm.segment import Segment
from shm.sessions import SessionTable
from tests.rules.sources import ROOT

SECONDS = 2.0
SALT = bytes(layout.SALT_BYTES)
CAPACITY = 4
HELD = 2
RIGHT = 1_000
"""Right reads of each reader, at least."""
SESSIONS = 10_000
"""What each of them saw come and go, at least."""


def start_reader(name: str, kind: str) -> subprocess.Popen[str]:
    """A process that reads the table and prints what it got."""
    bounds = map(str, (SECONDS, RIGHT, SESSIONS))
    command = [sys.executable, "-m", "tests.shm.torture_reader", name, kind, *bounds]
    return subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def write(table: SessionTable, readers: list[subprocess.Popen[str]]) -> int:
    """Claim and free for as long as somebody reads; how many sessions there were."""
    held: deque[int] = deque()
    number = 0
    while any(reader.poll() is None for reader in readers):
        for _ in range(500):
            if len(held) == HELD:
                table.release(held.popleft())
            number += 1
            assert table.claim(b"%d;" % number * 8, 0, SALT) == number
            held.append(number)
    return number


@pytest.mark.parametrize("kinds", [("lua", "python")], ids="-".join)
def test_no_peer_is_ever_read_for_the_wrong_id(segment_name: str, kinds: tuple[str, ...]) -> None:
    segment = Segment.create(segment_name, CAPACITY, 1)
    table = SessionTable(segment)
    readers = [start_reader(segment_name, kind) for kind in kinds]
    try:
        written = write(table, readers)
        results = [reader.communicate(timeout=10) for reader in readers]
    finally:
        for reader in readers:
            reader.kill()
        table.close()
        segment.close()
    for output, errors in results:
        assert errors == ""
        right, wrong, missing = json.loads(output.splitlines()[1])
        assert wrong == 0
        assert right >= RIGHT
        assert missing > 0
    assert written >= SESSIONS
