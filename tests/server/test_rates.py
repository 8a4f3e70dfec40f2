"""What happens each second, from two snapshots."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from server import rates, snapshot
from server.monitor import Figures
from server.snapshot import Acceptor, Process, Snapshot, Supervisor, Totals, Worker

FACTS = snapshot.Facts("hive", 1, 0.0, "", "boot", (), (), None, 100, 8)
FIGURES = Figures("running", 10.0, 1, 1, 1, 1, 100, 10)


def counted(names: tuple[str, ...], value: int) -> dict[str, int]:
    return dict.fromkeys(names, value)


def worker(row: int, value: int, **changed: Any) -> Worker:
    made = Worker(
        number=row,
        row=row,
        pid=10 + row,
        state="ready",
        on_duty=True,
        generation=1,
        storm=False,
        started=0.0,
        cpu=0.0,
        beat=0,
        loop_time=0.0,
        counters=counted(snapshot.COUNTERS, value),
        gauges=counted(snapshot.GAUGES, 0),
        ended=counted(snapshot.REASONS, value),
    )
    return replace(made, **changed)


def shot(monotonic: float, value: int, *rows: int, pids: tuple[int, ...] = (10,)) -> Snapshot:
    figures = replace(FIGURES, cpu=FIGURES.cpu + value / 10, voluntary=100 + value)
    return Snapshot(
        time=0.0,
        monotonic=monotonic,
        facts=FACTS,
        supervisor=Supervisor("running", 0.0, None, 0),
        acceptor=Acceptor(2, "ready", False, 0, 0, 0, counted(snapshot.ACCEPTED, value)),
        workers=tuple(worker(row, value) for row in rows),
        totals=Totals(
            0,
            counted(snapshot.COUNTERS, 2 * value),
            counted(snapshot.GAUGES, 0),
            counted(snapshot.REASONS, value),
        ),
        processes=tuple(Process("worker", "worker", 0, pid, figures) for pid in pids),
    )


def test_each_second() -> None:
    found = rates.between(shot(100.0, 0, 0, 1), shot(102.0, 10, 0, 1))
    assert found is not None
    assert found.seconds == 2.0
    assert found.totals["requests"] == 10.0
    assert found.ended["idle"] == 5.0
    assert found.acceptor["claimed"] == 5.0
    assert {row: told["bytes_in"] for row, told in found.workers.items()} == {0: 5.0, 1: 5.0}
    assert found.processes[10] == rates.ProcessRates(cpu=50.0, voluntary=5.0, involuntary=0.0)


def test_only_what_was_there_both_times() -> None:
    before, after = shot(1.0, 0, 0, 1, pids=(10, 11)), shot(2.0, 5, 1, 2, pids=(11, 12))
    found = rates.between(before, after)
    assert found is not None
    assert set(found.workers) == {1}
    assert set(found.processes) == {11}


def test_a_number_that_another_process_has_now() -> None:
    found = rates.between(shot(1.0, 5), shot(2.0, 0))
    assert found is not None
    assert found.processes[10] == rates.ProcessRates(0.0, 0.0, 0.0)


def test_no_rates() -> None:
    one = shot(1.0, 0)
    assert rates.between(one, one) is None
    restarted = replace(shot(2.0, 0), facts=replace(FACTS, boot="other"))
    assert rates.between(one, restarted) is None
