"""The process of metrics: answers over HTTP from what it reads in the segment.

    supervisor --order--> main --> Site (HTTP) --> Pages --> Exposition, health --> Reader
               --control--> Ear: settings of the log, reopen_logs, stop              |
                                                                             segment, catalog

It holds no state: when it dies the supervisor (:mod:`server.surveyor`) starts another one on the
same sockets, and connections wait in them. When the supervisor dies, so does it.
"""

from __future__ import annotations

import signal
import socket
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import setproctitle
from prometheus_client.metrics_core import Metric

from server import hang
from server.hang import Bounds, Seen, Watch
from server.loop import Loop
from server.metrics import health, own, tarantool
from server.metrics.exposition import Exposition
from server.metrics.families import Families
from server.metrics.pages import Pages
from server.metrics.reading import Reader
from server.metrics.site import Site
from server.snapshot import Snapshot
from shm import logs
from shm.channel import Channel, ChannelClosedError
from shm.launch import ExitCode, LogOrder, MetricsOrder
from shm.segment import Segment, SegmentError

ROLE: Final = "metrics"


def main(order: MetricsOrder) -> None:
    """Answer until told to stop."""
    setproctitle.setproctitle(f"beespace: metrics {order.name}")
    logs.configure(order.log, ROLE)
    try:
        segment = Segment.attach(order.segment)
    except SegmentError as error:
        logs.get().error("cannot start", reason=str(error))
        sys.exit(ExitCode.CANNOT_BOOT)
    loop = Loop()
    reader = Reader(segment, order.name, order.version, Path(order.catalog))
    look = Look(loop, segment, reader)
    pages = Pages(
        Exposition(lambda: _families(order.name, reader, look.silences())),
        live=lambda: health.live(reader.snapshot()),
        ready=lambda: health.ready(reader.snapshot(), look.silences()),
        log=logs.get(),
    )
    with loop.signals([signal.SIGTERM], lambda _: loop.stop()):
        site = Site(loop, order.listeners, pages.answer, logs.get())
        ear = Ear(loop, order.control, order.log)
        look.keep()
        ear.say_ready()
        loop.run()
        site.close()
    loop.close()


class Look:
    """Looks at the beats of the processes again and again, which is a beat of its own."""

    def __init__(self, loop: Loop, segment: Segment, reader: Reader) -> None:
        self._loop = loop
        self._header = segment.header
        self._reader = reader
        self._watch = Watch()
        self._pids: Sequence[int] = ()

    def keep(self) -> None:
        """Look now and from now on."""
        self._header.metrics_turns += 1
        seen = list(_seen(self._reader.snapshot()))
        self._pids = [one.pid for one in seen]
        self._watch.look(seen, time.monotonic(), Bounds())
        self._loop.after(hang.PERIOD, self.keep)

    def silences(self) -> health.Silences:
        """Seconds since the loop of each process turned, as far as it was seen."""
        return {pid: self._watch.silence(pid) or 0.0 for pid in self._pids}


class Ear:
    """Hears what the supervisor says."""

    def __init__(self, loop: Loop, control: socket.socket, log: LogOrder) -> None:
        self._loop = loop
        self._control = Channel(control)
        self._log = log
        loop.watch(self._control, self._hear)

    def say_ready(self) -> None:
        """Visitors are answered."""
        try:
            self._control.send({"op": "ready"})
        except ChannelClosedError:
            self._loop.stop()

    def _hear(self) -> None:
        try:
            while (received := self._control.receive()) is not None:
                self._do(received[0])
        except ChannelClosedError:
            self._loop.stop()

    def _do(self, message: Mapping[str, Any]) -> None:
        if message["op"] == "stop":
            self._loop.stop()
        elif message["op"] == "reopen_logs":
            logs.reopen()
        elif message["op"] == "settings":
            self._log = self._log.changed(message["values"])
            logs.configure(self._log, ROLE)


def _families(name: str, reader: Reader, silences: health.Silences) -> Iterator[Metric]:
    began = time.perf_counter()
    made, reading = Families(name), reader.read()
    yield from tarantool.families(made, reading)
    yield from own.families(made, reading, silences)
    took = time.perf_counter() - began
    yield made.gauge("beespace_collect_seconds", "How long it took to collect these.", took)


def _seen(shown: Snapshot) -> Iterator[Seen]:
    """Those whose loops turn."""
    if shown.acceptor.pid is not None and shown.acceptor.state == health.READY:
        yield Seen(shown.acceptor.pid, shown.acceptor.turns)
    for worker in shown.workers:
        if worker.pid is not None and worker.state == health.READY:
            yield Seen(worker.pid, worker.beat)
