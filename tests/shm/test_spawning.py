"""multiprocess where no file can be written, as on a full disk."""

from __future__ import annotations

import subprocess
import sys

from tests.helpers.server import ROOT

NO_FILES = ("sh", "-c", 'ulimit -f 0; exec "$@"', "sh")
"""No file may have a byte; pipes may."""

PROGRAM = """
import os, tempfile
from shm.spawning import multiprocess, resource_tracker

if __name__ == "__main__":
    process = multiprocess.get_context("spawn").Process(target=os._exit, args=(7,))
    process.start()
    process.join()
    resource_tracker.ensure_running()
    print(process.exitcode, tempfile.tempdir, resource_tracker._resource_tracker._check_alive())
"""


def test_processes_begin_all_the_same() -> None:
    done = subprocess.run(
        [*NO_FILES, sys.executable, "-c", PROGRAM],
        capture_output=True,
        text=True,
        timeout=50,
        cwd=ROOT,
    )
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "7 None True\n")
