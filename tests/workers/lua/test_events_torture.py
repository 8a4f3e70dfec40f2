"""No value is torn or lost while processes put, compact and are killed in the midst of it."""

from __future__ import annotations

import os
import random
import time
from subprocess import Popen

from shm.segment import Segment
from tests.helpers import torture
from tests.helpers.torture import kill, rounds, wait_until_running

SECONDS = float(os.environ.get("TORTURE_SECONDS", "4"))
PROCESSES = 4
SPARED = 0
"""This one is never killed: it sees everything that happens from the beginning to the end."""
MEMORY = 64 * 1024


def start(name: str, number: int) -> Popen[str]:
    return torture.start("tests.workers.lua.events_process", name, number)


def puts(segment: Segment) -> int:
    """Values that were put; each process counts its own in slots."""
    return sum(int(slot.requests) for slot in segment.slots)


def generations(segment: Segment) -> int:
    """Changes of the events."""
    return int(segment.header.event_generation) >> 32


def test_no_value_is_torn_or_lost(segment_name: str) -> None:
    draw = random.Random(1)
    segment = Segment.create(segment_name, 64, 1, MEMORY)
    processes = [start(segment_name, number) for number in range(PROCESSES)]
    complaints: list[str] = []
    running = set(range(PROCESSES))
    for process in processes:
        wait_until_running(process)
    kills = 0

    def enough() -> bool:
        return kills > SECONDS and puts(segment) > 1000 and generations(segment) > 100

    try:
        for _ in rounds(SECONDS, enough):
            if any(complaints):
                break
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
    generation, put = generations(segment), puts(segment)
    segment.close()
    assert "".join(complaints) == ""
    assert kills > SECONDS
    assert put > 1000
    assert generation > 100
