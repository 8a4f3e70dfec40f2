"""Figures of processes: CPU in thousandths, processes that are gone."""

from __future__ import annotations

import subprocess
import sys

from server.monitor import CpuSampler
from tests.helpers.wait import wait_until


def test_a_busy_process_shows() -> None:
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    sampler = CpuSampler()
    try:
        assert sampler.sample({1: process.pid}) == {1: 0}
        wait_until(lambda: sampler.sample({1: process.pid})[1] > 100, what="CPU use")
    finally:
        process.kill()
        process.wait()
    assert sampler.sample({1: process.pid}) == {1: 0}
    assert sampler.sample({}) == {}
