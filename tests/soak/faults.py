"""What is done to a running server, one function for each kind of fault in :mod:`tests.soak.plan`.

    plan --at its time--> Faults.strike() --signals, commands, requests--> server
                              `--> ledger: who was hit, when

A worker is stopped before it is killed, so that the table can be read as it was at that moment: a
session whose on_disconnect had begun is in doubt. Faults that last run in threads of their own, so
that others hit meanwhile.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Final

import psutil

from shm.states import WorkerState
from tests.helpers import commands
from tests.helpers.raw import CALL
from tests.helpers.server import Server
from tests.helpers.wait import wait_until
from tests.soak.guest import PATIENCE, GoneError, Host
from tests.soak.ledger import Ledger
from tests.soak.lookout import Lookout, Worker
from tests.soak.plan import Planned
from tests.soak.record import Record

HANG: Final = 5.0
"""workers.hang_timeout; a process that is only stopped for a while goes on long before."""
REQUEST_TIME: Final = 2.0
"""limits.request_time."""
LONGEST_PAUSE: Final = 1.5
DEATH: Final = 2 * HANG + 2
"""Seconds until a worker that hangs is gone."""
TOO_LONG: Final = "request took longer than limits.request_time"
TOO_MUCH: Final = "not enough memory: lua.memory is"
MOST_WORKERS: Final = 6
LEAST_WORKERS: Final = 3


class Faults:
    """The faults of one run; ``records`` are those of its own connections."""

    def __init__(self, server: Server, lookout: Lookout, ledger: Ledger, folder: Path) -> None:
        self._server = server
        self._lookout = lookout
        self._ledger = ledger
        self._folder = folder
        self._lock = threading.Lock()
        self._busy: set[int] = set()
        self.records: list[Record] = []

    def run(self, plan: Sequence[Planned], say: Callable[[str], None]) -> None:
        """All of a plan; back when the last one is over."""
        begun, never = time.monotonic(), threading.Event()
        with ThreadPoolExecutor(16) as pool:
            running: list[Future[None]] = []
            for planned in plan:
                never.wait(max(begun + planned.at - time.monotonic(), 0))
                running.append(pool.submit(self._strike, planned, begun, say))
            for each in running:
                each.result()

    def _strike(self, planned: Planned, begun: float, say: Callable[[str], None]) -> None:
        fault: Callable[[Planned], str] = getattr(self, planned.kind)
        try:
            told = fault(planned)
        except (ProcessLookupError, psutil.NoSuchProcess, LookupError) as error:
            told = f"skipped: {error}"
        done = "skipped" if told.startswith("skipped") else planned.kind
        self._ledger.done[done] += 1
        say(f"{time.monotonic() - begun:7.2f} s  {planned.kind}: {told}")

    # Signals to workers

    def kill_worker(self, planned: Planned) -> str:
        worker = self._worker(planned)
        self._kill(worker)
        return f"worker {worker.number}, process {worker.pid}, {worker.state.name.lower()}"

    def freeze_worker(self, planned: Planned) -> str:
        """Stopped until the server notices and replaces it."""
        worker = self._worker(planned)
        self._freeze(worker, DEATH)
        return f"worker {worker.number}, process {worker.pid}"

    def pause_worker(self, planned: Planned) -> str:
        worker = self._worker(planned)
        self._ledger.still(time.monotonic(), LONGEST_PAUSE)
        told = self._pause(worker.pid, planned.how)
        self._busy.discard(worker.pid)
        return told

    def broken_start(self, planned: Planned) -> str:
        """Killed, and the application has an error when a worker starts next."""
        worker = self._worker(planned)
        (self._folder / "broken").touch()
        self._kill(worker)
        return f"worker {worker.number}, process {worker.pid}"

    def _worker(self, planned: Planned) -> Worker:
        """One that serves or drains, and that no other fault has at the moment."""
        with self._lock:
            able = [
                worker
                for worker in self._lookout.workers()
                if worker.state in (WorkerState.READY, WorkerState.DRAINING)
                and worker.pid not in self._busy
            ]
            if not able:
                raise LookupError("no worker is ready")
            worker = able[int(planned.which * len(able))]
            self._busy.add(worker.pid)
        return worker

    def _freeze(self, worker: Worker, lasts: float) -> None:
        """Stop a worker for good, and see what it was about to do."""
        now = time.monotonic()
        os.kill(worker.pid, signal.SIGSTOP)
        self._ledger.strike(worker.pid, now, lasts)
        self._ledger.still(now, lasts)
        wait_until(lambda: commands.is_stopped(worker.pid), what=f"stop of {worker.pid}")
        self._ledger.in_doubt |= self._lookout.closing(worker.row)
        self._ledger.lost_in_doubt += self._lookout.lost_running(worker.row)

    def _kill(self, worker: Worker) -> None:
        self._freeze(worker, 0)
        os.kill(worker.pid, signal.SIGKILL)

    def _pause(self, pid: int, how: float) -> str:
        """Stop a process and let it go on before anybody minds."""
        seconds = 0.1 + how * (LONGEST_PAUSE - 0.1)
        os.kill(pid, signal.SIGSTOP)
        threading.Event().wait(seconds)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
        return f"process {pid} for {seconds:.1f} s"

    # The other processes

    def kill_acceptor(self, planned: Planned) -> str:
        """Killed, half of the time with connections in front of it."""
        pid = self._acceptor()
        self._ledger.window(time.monotonic(), 1)
        if planned.how < 0.5:
            os.kill(pid, signal.SIGSTOP)
            threading.Event().wait(planned.which / 2)
        os.kill(pid, signal.SIGKILL)
        return f"process {pid}"

    def kill_metrics(self, _: Planned) -> str:
        pid = self._lookout.metrics()
        if not pid:
            raise LookupError("there is no process of the metrics")
        self._ledger.without_metrics.append(time.monotonic())
        os.kill(pid, signal.SIGKILL)
        return f"process {pid}"

    def pause_acceptor(self, planned: Planned) -> str:
        return self._pause(self._acceptor(), planned.how)

    def pause_supervisor(self, planned: Planned) -> str:
        return self._pause(self._server.pid, planned.how)

    def _acceptor(self) -> int:
        pid = self._lookout.acceptor()
        if not pid:
            raise LookupError("there is no acceptor")
        return pid

    # What an operator does

    def reload(self, _: Planned) -> str:
        self._server.send_signal(signal.SIGHUP)
        return "asked for"

    def restart_workers(self, _: Planned) -> str:
        told = commands.asked(self._server, "restart-workers", patience=PATIENCE)
        return "done" if told["ok"] else str(told["error"])

    def one_more(self, _: Planned) -> str:
        return self._resize(signal.SIGTTIN, len(self._on_duty()) < MOST_WORKERS)

    def one_fewer(self, _: Planned) -> str:
        return self._resize(signal.SIGTTOU, len(self._on_duty()) > LEAST_WORKERS)

    def _on_duty(self) -> list[Worker]:
        return [worker for worker in self._lookout.workers() if worker.on_duty]

    def _resize(self, number: signal.Signals, sensible: bool) -> str:
        if not sensible:
            raise LookupError(f"{len(self._on_duty())} workers are enough")
        self._server.send_signal(number)
        return f"asked for, with {len(self._on_duty())} workers"

    # What clients do

    def runaway(self, _: Planned) -> str:
        return self._misbehave("runaway", (TOO_LONG,))

    def hog(self, _: Planned) -> str:
        return self._misbehave("hog", (TOO_MUCH, TOO_LONG))

    def endless(self, _: Planned) -> str:
        return self._misbehave("endless")

    def stuck(self, _: Planned) -> str:
        return self._misbehave("stuck")

    def _misbehave(self, name: str, texts: Sequence[str] = ()) -> str:
        """A request that takes too much: its error has one of the texts, or it ends its worker."""
        host = Host(name, self._server.address, self._server.console)
        with contextlib.closing(host), contextlib.suppress(GoneError):
            guest = host.guest()
            guest.settle()
            pid = guest.record.pid
            if not texts:
                self._ledger.strike(pid, time.monotonic(), DEATH)
            elif name == "hog":
                self._ledger.pressed.add(pid)
            answer = guest.answer(guest.send(CALL, {0x22: name, 0x21: []}), CALL)
            expected = any(text in answer.text for text in texts)
            guest.expect(expected, f"answered with {answer.text}")
        (record,) = host.records
        self.records.append(record)
        return f"process {record.pid}, {record.cut or record.failed or 'answered with the error'}"
