"""A worker process for test_process: argument 1 names the segment, 2 and 3 are its channels."""

from __future__ import annotations

import json
import socket
import sys

from shm import channel, launch
from shm.launch import WorkerOrder

if __name__ == "__main__":
    name, control, intake, app, settings, catalog = sys.argv[1:]
    ((reader, writer),) = channel.bus(1)
    order = WorkerOrder(
        index=0,
        count=1,
        name="test",
        version="1.2.3",
        segment=name,
        control=socket.socket(fileno=int(control)),
        intake=socket.socket(fileno=int(intake)),
        bus=(reader, (writer,)),
        app=app or None,
        catalog=catalog,
        settings=json.loads(settings),
    )
    launch.run(launch.WORKER_MODULE, order)
