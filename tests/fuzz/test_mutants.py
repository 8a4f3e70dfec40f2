"""The fuzzer for a while: a fixed seed, in a process of its own, which a crash would end."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.server import ROOT

TRIALS = {"engine": 6000, "server": 2500}


@pytest.mark.parametrize("target", sorted(TRIALS))
def test_no_mutant_does_harm(target: str, tmp_path: Path) -> None:
    words = ["--target", target, "--count", str(TRIALS[target]), "--seed", "1"]
    words += ["--keep", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz", *words],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    left = [f"{path.name}:\n{path.read_text()}" for path in tmp_path.iterdir()]
    assert done.returncode == 0, "\n".join([done.stdout, *left])
    assert f"{TRIALS[target]} trials" in done.stdout or "nothing found" in done.stdout
