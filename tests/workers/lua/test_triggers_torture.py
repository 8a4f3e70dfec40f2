"""Processes that change the triggers at once, and are killed meanwhile, agree at the end."""

from __future__ import annotations

import os
import random
import time
from subprocess import Popen

from shm.segment import Segment
from tests.helpers import torture
from tests.helpers.torture import kill, rounds, wait_until_running
from tests.workers.lua.triggers_worker import Worker

SECONDS = float(os.environ.get("TORTURE_SECONDS", "4"))
PROCESSES = 4


def start(name: str, number: int) -> Popen[str]:
    return torture.start("tests.workers.lua.triggers_worker", name, number)


def changes(segment: Segment) -> int:
    """How often the triggers have changed."""
    return int(segment.header.trigger_generation) >> 32


def test_all_end_with_the_same_lists(segment_name: str) -> None:
    draw = random.Random(1)
    segment = Segment.create(segment_name, 8, 1)
    watchers = [Worker(segment, number) for number in range(2)]
    processes = [start(segment_name, number) for number in range(PROCESSES)]
    complaints: list[str] = []
    kills = reads = 0

    def enough() -> bool:
        return kills > SECONDS and reads > 100 and changes(segment) > 1000

    try:
        for _ in rounds(SECONDS, enough):
            if any(complaints):
                break
            victim = draw.randrange(PROCESSES)
            wait_until_running(processes[victim])
            pause = time.monotonic() + draw.random() * 0.1
            while time.monotonic() < pause:
                names = watchers[0].names("storm")
                assert len(set(names)) == len(names) <= 8
                reads += 1
            complaints.append(kill(processes[victim]))
            kills += 1
            processes[victim] = start(segment_name, victim)
    finally:
        complaints += [kill(process) for process in processes]
    watchers[1].run("trigger.set('storm', f'last', 'last')")
    late = Worker(segment, 2)
    told = [(worker.names("storm"), worker.ran("storm")) for worker in (*watchers, late)]
    changed = changes(segment)
    logged = [line for worker in (*watchers, late) for line in worker.logged]
    segment.close()
    assert "".join(complaints) == ""
    assert logged == []
    assert told[0] == told[1] == told[2]
    assert told[0][0][0] == "last"
    assert kills > SECONDS
    assert changed > 1000
    assert reads > 100
