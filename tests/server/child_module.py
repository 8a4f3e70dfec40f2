"""What test_children starts: tells about itself, then does what it is told."""

from __future__ import annotations

import os
import subprocess
import sys

import msgpack

from shm.launch import WorkerOrder


def main(order: WorkerOrder) -> None:
    control = order.control
    control.setblocking(True)
    told = {"pid": os.getpid(), "main": sys.modules["__main__"].__name__}
    control.send(msgpack.packb({**told, "modules": sorted(sys.modules)}))
    if msgpack.unpackb(control.recv(1000))["op"] == "leave a process":
        left = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        control.send(msgpack.packb({"left": left.pid}))
        left.returncode = 0
    sys.exit(order.index)
