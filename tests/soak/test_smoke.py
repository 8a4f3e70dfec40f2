"""A short soak with a fixed seed: everything of it runs, and everything holds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.server import ROOT


@pytest.mark.timeout(180)
def test_a_short_soak(tmp_path: Path) -> None:
    words = ["--short", "--seconds", "4.5", "--seed", "16710", "--processes", "1"]
    words += ["--keep", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-m", "tests.soak", *words],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    assert f"again with\n  python -m tests.soak {' '.join(words)}" in done.stdout
    assert "faults: kill_acceptor 1, kill_worker 1, restart_workers 1" in done.stdout
    assert "ok nothing left after stop" in done.stdout
    assert list(tmp_path.iterdir()) == []
