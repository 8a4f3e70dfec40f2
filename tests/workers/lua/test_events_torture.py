"""No value is torn or lost while processes put, compact and are killed in the midst of it."""

from __future__ import annotations

import os
import random
import time
from subprocess import Popen

from shm.segment import Segment
from tests.helpers import torture
from tests.helpers.torture import kill, wait_until_running

SECONDS = float(os.environ.get("TORTURE_SECONDS", "4"))
PROCESSES = 4
SPARED = 0
"""This one is never killed: it sees everything that happens from the beginning to the end."""
MEMORY = 64 * 1024


def start(name: str, number: int) -> Popen[str]:
    return torture.start("tests.workers.lua.events_process", name, number)


def test_no_value_is_torn_or_lost(segment_name: str) -> None:
    draw = random.Random(1)
    segment = Segment.create(segment_name, 64, 1, MEMORY)
    processes = [start(segment_name, number) for number in range(PROCESSES)]
    complaints: list[str] = []
    running = set(range(PROCESSES))
    for process in processes:
        wait_until_running(process)
    kills = 0
    try:
        until = time.monotonic() + SECONDS
        while time.monotonic() < until and not any(complaints):
            victim = draw.choice([n for n in range(PROCESSES) if n != SPARED])
            if victim not in running:
                wait_until_running(processes[victim])
            time.sleep(draw.random() * 0.05)
            complaints.append(kill(processes[victim]))
            kills += 1
            processes[victim] = start(segment_name, victim)
            running.discard(victim)
            assert processes[SPARED].poll() is None
        last = start(segment_name, SPARED)
    finally:
        complaints += [kill(process) for process in processes]
    wait_until_running(last)
    complaints.append(kill(last))
    generation = int(segment.header.event_generation)
    put = sum(int(slot.requests) for slot in segment.slots)
    segment.close()
    assert "".join(complaints) == ""
    assert kills > SECONDS
    assert put > 1000
    assert generation >> 32 > 100
