"""From rounds to figures, from figures to tables and verdicts."""

from __future__ import annotations

import array
import math
import mmap
import os
import subprocess
import sys
import time

import pytest

from bench import lua, report, stats, usage
from bench.bars import BARS, Bar, Figure, Role, judge
from bench.client import Load, Measure
from bench.idle import IdleFigure
from bench.rounds import Series
from bench.scenarios import SCENARIOS
from bench.stats import GROWTH, Latency

THROUGHPUT = """\
Throughput (medians)
load          server      requests/s  spread  ratio  p50 us  p99 us  p99.9 us  max us  \
server us/req  client busy  others
--------------------------------------------------------------------------------------\
-----------------------------------
exists 8x128  beespace:2   4,000,000     50%  8.00x     100     400       400     400  \
        0.200          20%    40%!
exists 8x128  tarantool      500,000      0%            100     400       400     400  \
            -         95%!       -
! client: busy 90% of a core or more, it was the limit
! others: used over 20% of a core, not a quiet machine"""

BARS_TABLE = """\
Bars
load          servers              figure                 bar  ratio       outcome
----------------------------------------------------------------------------------
exists 8x128  subject / reference  requests/s  at least 8.00x  8.00x           met
exists 8x128  subject / reference  p99          at most 1.00x  1.00x           met
exists 8x128  subject / reference  requests/s  at least 9.00x  8.00x       NOT MET
ping 8x128    subject / reference  requests/s  at least 1.80x      -  not measured"""

IDLE_TABLE = """\
Memory of idle sessions (medians)
server      sessions  before KiB  after KiB  bytes/session  spread
------------------------------------------------------------------
beespace:2     1,024     100,000    100,256            256     62%
bar: at most 300 bytes a session (all processes, kernel not counted)"""


def bucket(micros: float) -> int:
    """Where load.lua counts a latency."""
    return math.floor(math.log(micros) / math.log(GROWTH))


def latency(*samples: float) -> Latency:
    counters = array.array("I", bytes(4 * 2048))
    for sample in samples:
        counters[bucket(sample)] += 1
    return Latency.from_bytes(counters.tobytes(), max(samples))


def measure(requests: int, client: float, server: float | None = None) -> Measure:
    return Measure(requests, 2.0, latency(100, 100, 400), client, server, client + 2.4)


def subject() -> Series:
    rounds = [measure(count * 1_000_000, 0.4, 0.2 * count) for count in (6, 8, 10)]
    return Series(Load(SCENARIOS["exists"], 8, 128), "beespace:2", tuple(rounds))


def reference() -> Series:
    rounds = [measure(1_000_000, 1.9), measure(1_000_000, 1.9)]
    return Series(Load(SCENARIOS["exists"], 8, 128), "tarantool", tuple(rounds))


def test_quantiles_are_within_one_percent() -> None:
    found = latency(*range(1, 1001))
    for share in (0.01, 0.5, 0.99, 0.999):
        assert found.quantile(share) == pytest.approx(share * 1000, rel=0.01)
    assert found.quantile(1) == found.slowest == 1000
    assert Latency((), 0).quantile(0.5) == 0


def test_merged_latencies_count_all() -> None:
    merged = Latency.merge([latency(10, 10, 10), latency(1000)])
    assert merged.total == 4
    assert merged.slowest == 1000
    assert merged.quantile(0.5) == pytest.approx(10, rel=0.01)
    assert merged.quantile(0.99) == pytest.approx(1000, rel=0.01)


def test_median_spread_and_ratio() -> None:
    assert stats.median([3, 1, 2]) == 2
    assert stats.median([]) == 0
    assert stats.spread([90, 100, 120]) == pytest.approx(0.3)
    assert stats.ratio(3, 2) == 1.5
    assert stats.ratio(1, 0) == math.inf


def test_throughput_table() -> None:
    assert report.throughput([[subject(), reference()]]).plain() == THROUGHPUT


def test_bars_are_judged_and_shown() -> None:
    bars = [
        Bar("exists", 8, 128, Role.SUBJECT, Role.REFERENCE, Figure.RATE, 8.0),
        Bar("exists", 8, 128, Role.SUBJECT, Role.REFERENCE, Figure.P99, 1.0),
        Bar("exists", 8, 128, Role.SUBJECT, Role.REFERENCE, Figure.RATE, 9.0),
        Bar("ping", 8, 128, Role.SUBJECT, Role.REFERENCE, Figure.RATE, 1.8),
    ]
    verdicts = judge(bars, [(Role.SUBJECT, subject()), (Role.REFERENCE, reference())])
    assert [verdict.met for verdict in verdicts] == [True, True, False, None]
    assert report.bars(verdicts).plain() == BARS_TABLE


def test_a_latency_bar_is_missed_from_above() -> None:
    bar = Bar("exists", 50, 1, Role.SUBJECT, Role.REFERENCE, Figure.P99, 1.0)
    assert bar.holds(0.9)
    assert not bar.holds(1.1)


def test_every_bar_names_a_scenario() -> None:
    assert {bar.scenario for bar in BARS} <= set(SCENARIOS)


def test_idle_table() -> None:
    figure = IdleFigure(
        "beespace:2",
        1024,
        tuple((100_000 * 1024, (100_000 + each) * 1024) for each in (384, 256, 224)),
    )
    assert report.idle([figure], 300).plain() == IDLE_TABLE


def test_a_series_as_json() -> None:
    found = report.as_json(subject())
    assert found["rate"] == 4_000_000
    assert [each["requests"] for each in found["rounds"]] == [6_000_000, 8_000_000, 10_000_000]
    assert found["server_us_per_request"] == pytest.approx(0.2)


def test_the_bench_application_makes_what_it_says() -> None:
    state = lua.runtime()
    lua.load(state, "app.lua")
    assert lua.call(state.eval(b"bench_garbage"), 2_000) == 64
    assert lua.call(state.eval(b"bench_cpu"), 3) == lua.call(state.eval(b"bench_cpu"), 3)
    assert lua.call(state.eval(b"bench_cpu"), 3) != lua.call(state.eval(b"bench_cpu"), 4)


def test_memory_counts_what_a_process_fills() -> None:
    before = usage.memory_bytes([os.getpid()])
    # Not of the heap, which may have as much to spare.
    with mmap.mmap(-1, 20_000_000) as filled:
        for at in range(0, len(filled), mmap.PAGESIZE):
            filled[at] = 1
        assert 19_000_000 < usage.memory_bytes([os.getpid()]) - before < 25_000_000


def test_cpu_time_grows_with_work() -> None:
    began, before = time.process_time(), usage.cpu_seconds(os.getpid())
    own = time.process_time()
    while time.process_time() < own + 0.1:
        pass
    grown = usage.cpu_seconds(os.getpid()) - before
    # Looking costs CPU, too, more on a machine with many processes.
    assert 0.05 < grown < time.process_time() - began + 0.05


def test_a_process_that_is_gone_uses_nothing() -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    assert usage.tree(gone.pid) == ()
    assert usage.cpu_seconds(gone.pid) == 0
    assert usage.memory_bytes([gone.pid]) == 0
