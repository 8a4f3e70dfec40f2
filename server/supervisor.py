"""The supervisor: starts the server, watches its processes, stops it.

    phase      what is going on                                       ends when
    BOOTING    worker 0 loads the application                         it is ready
    FILLING    the other workers and the acceptor start               all are ready
    RUNNING    connections are taken, dead children are replaced      SIGTERM, SIGINT
    STOPPING   everybody was asked to end, killed when it takes too   no child is left
               long (process.stop_timeout)

Everything happens in callbacks of one loop (:mod:`server.loop`). Until RUNNING any child that ends
stops the start: the first sign of a broken application is an error at the prompt, not a restart.
"""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from functools import partial
from typing import Any, Final

import setproctitle

from server import children, credentials, duties, given, notify, orders, vigil
from server.changes import ROLE, Changes
from server.children import Child
from server.crew import Crew
from server.desk import Desk
from server.ends import describe
from server.errors import ServerError
from server.loop import Loop
from server.monitor import CpuSampler
from server.porter import Porter
from server.post import Post
from server.resources import Resources, opened
from server.settings import Settings
from server.spare import Spare
from server.surveyor import Surveyor
from server.version import beespace_version
from server.vigil import Vigil
from shm import logs
from shm.launch import (
    ACCEPTOR_MODULE,
    WORKER_MODULE,
    AcceptorOrder,
    MetricsOrder,
    WorkerOrder,
)
from shm.spawning import resource_tracker
from shm.states import Phase

GRACE_SECONDS: Final = 1.0
"""Time that children get to end by themselves, on top of process.stop_timeout."""
KILLED_SECONDS: Final = 0.7
"""Time the system gets to end killed children; then the supervisor goes, whatever is left."""
CPU_PERIOD: Final = 1.0

STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
CHANGE_SIGNALS: Final = (signal.SIGHUP, signal.SIGUSR2, signal.SIGTTIN, signal.SIGTTOU)
SIGNALS: Final = (*STOP_SIGNALS, *CHANGE_SIGNALS)

OPEN_TO_GUESTS: Final = "guest may evaluate any text: whoever can connect can do everything"


class Supervisor:
    """One server. ``load`` reads its settings, at once and again for every reload.

    ``worker_module`` and ``acceptor_module`` name what the children run.
    """

    def __init__(
        self,
        load: Callable[[], Settings],
        worker_module: str = WORKER_MODULE,
        acceptor_module: str = ACCEPTOR_MODULE,
    ) -> None:
        self._worker_module = worker_module
        self._acceptor_module = acceptor_module
        self._version = beespace_version()
        self._loop = Loop()
        self._changes = Changes(load, self._tell_helpers)
        self._phase = Phase.BOOTING
        self._failure: ServerError | None = None
        self._cpu = CpuSampler()

    @property
    def _settings(self) -> Settings:
        return self._changes.settings

    def run(self) -> None:
        """Serve until a signal; returns when everything is stopped and cleaned up.

        ServerError when the server could not start.
        """
        setproctitle.setproctitle(f"beespace: supervisor {self._settings.name}")
        self._open_log()
        self._log = logs.get()
        manager = notify.Manager.taken(os.environ)
        self._notifier = notify.Notifier(manager, self._loop, self._log)
        with ExitStack() as held:
            held.callback(self._loop.close)
            held.enter_context(self._loop.signals(SIGNALS, self._on_signal))
            held.callback(_end_resource_tracker)
            sockets = given.taken(os.environ)
            opening = opened(self._settings, self._log, sockets)
            self._resources: Resources = held.enter_context(opening)
            self._spare = Spare(children.SPARE)
            held.callback(self._spare.close)
            self._crew = self._make_crew()
            self._porter = self._make_porter()
            self._surveyor = self._make_surveyor()
            self._vigil = self._make_vigil()
            self._changes.begin(self._log, self._resources, self._crew, self._notifier, self._spare)
            desk = self._make_desk()
            held.callback(desk.close)
            try:
                self._attempt(partial(self._crew.start, 0))
                self._vigil.keep(lambda: vigil.bounds(self._settings))
                self._surveyor.begin()
                self._loop.run()
            finally:
                self._kill()
                # These hold views of the segment, which is about to be unmapped.
                del self._crew, self._porter, self._surveyor, self._vigil
                del self._resources, self._changes
        if self._failure is not None:
            raise self._failure
        self._log.info("stopped")

    def _open_log(self) -> None:
        order = self._changes.log_order
        try:
            logs.configure(order, ROLE, must=True)
        except OSError as error:
            raise ServerError(
                f"log.file: got {order.file!r}, expected a file that can be written: "
                f"{error.strerror}"
            ) from error

    def worker_ready(self, post: Post) -> None:
        """Go on with the start."""
        if self._phase is Phase.BOOTING:
            self._enter(Phase.FILLING)
            for other in range(1, self._settings.worker_count):
                self._attempt(partial(self._crew.start, other))
            self._attempt(self._porter.start)
        elif self._phase is Phase.RUNNING and not self._changes.worker_ready(post):
            self._log.info("worker is back", worker=post.number)
        self._advance()

    def worker_failed(self, post: Post, reason: str) -> None:
        """Stop a start that cannot succeed; afterwards it is one worker's trouble."""
        if self._phase in (Phase.BOOTING, Phase.FILLING):
            self._fail(ServerError(reason))
        elif not self._changes.worker_failed(post, reason):
            self._log.error("worker cannot serve", worker=post.number, reason=reason)

    def worker_adjusts(self, post: Post, values: dict[str, Any]) -> None:
        """Let all processes have the settings that an application wants."""
        self._changes.adjust(values, post.number)

    def worker_ended(self, post: Post, was_ready: bool, reason: str) -> bool:
        """Whether a dead worker is replaced: only while the server runs."""
        if self._phase in (Phase.BOOTING, Phase.FILLING):
            when = "while the server started" if was_ready else "before it was ready"
            self._fail(ServerError(f"worker {post.number} ended {when}: {reason}"))
        self._changes.worker_ended(post, was_ready, reason)
        self._finish()
        return self._phase is Phase.RUNNING

    def tell_acceptor(self, message: dict[str, Any], fds: Iterable[int] = ()) -> bool:
        """Send to the acceptor; False when there is none."""
        return self._porter.tell(message, fds)

    def _tell_helpers(self, message: dict[str, Any]) -> None:
        """Send to every child but the workers."""
        self.tell_acceptor(message)
        self._surveyor.tell(message)

    def _make_desk(self) -> Desk:
        server = duties.Server(
            phase=self._doing,
            version=self._version,
            resources=self._resources,
            crew=self._crew,
            porter=self._porter,
            surveyor=self._surveyor,
            vigil=self._vigil,
            changes=self._changes,
            stop=self._stop_for_command,
        )
        commands = duties.commands(server, self._loop, self._log)
        return Desk(self._loop, self._resources.commands.socket, commands, self._log)

    def _enter(self, phase: Phase) -> None:
        """Be in a phase, and let those know who read the segment."""
        self._phase = phase
        self._resources.segment.header.phase = phase

    def _doing(self) -> str:
        return self._phase.name.lower()

    def _stop_for_command(self) -> float:
        """Stop in good order; how long that may take, seconds."""
        if self._phase is not Phase.STOPPING:
            self._log.info("stopping", command="stop")
            self._stop()
        return self._patience() + KILLED_SECONDS

    def _make_crew(self) -> Crew:
        resources = self._resources
        return Crew(
            self._loop,
            resources.segment,
            resources.table,
            self._log,
            self,
            self._worker_module,
            self._worker_order,
            self._spare,
            self._patience,
        )

    def _make_porter(self) -> Porter:
        segment = self._resources.segment
        module = self._acceptor_module
        return Porter(
            self._loop, segment, self._log, self, module, self._acceptor_order, self._spare
        )

    def _make_surveyor(self) -> Surveyor:
        return Surveyor(
            self._loop,
            self._resources.segment,
            self._log,
            self._metrics_order,
            self._spare,
            wanted=lambda: bool(self._resources.metrics) and self._phase is not Phase.STOPPING,
            gone=self._finish,
        )

    def _make_vigil(self) -> Vigil:
        resources = self._resources
        return Vigil(
            self._loop, resources.segment, resources.table, self._log, self._wards, self._spare
        )

    def _wards(self) -> Iterator[tuple[int | None, Child]]:
        yield from self._crew.children()
        for child in (self._porter.child, self._surveyor.child):
            if child is not None:
                yield None, child

    def _worker_order(
        self, post: Post, control: socket.socket, intake: socket.socket
    ) -> WorkerOrder:
        settings, log = self._changes.settings_for(post), self._changes.log_order
        return orders.worker(post, settings, self._resources, self._version, log, control, intake)

    def _acceptor_order(self, control: socket.socket) -> AcceptorOrder:
        log = self._changes.log_order
        return orders.acceptor(self._settings, self._resources, self._version, log, control)

    def _metrics_order(self, control: socket.socket) -> MetricsOrder:
        log = self._changes.log_order
        return orders.metrics(self._settings, self._resources, self._version, log, control)

    def acceptor_started(self) -> bool:
        """Introduce the workers to a new acceptor; whether it may open the doors at once."""
        self._crew.introduce()
        return self._phase is Phase.RUNNING

    def acceptor_ready(self) -> None:
        """Go on with the start."""
        self._advance()

    def acceptor_ended(self, code: int | None) -> bool:
        """Sessions go on without one; whether it is replaced: only while the server runs."""
        self._crew.acceptor_ended()
        if self._phase is Phase.FILLING:
            self._fail(ServerError(f"acceptor ended before it was ready: {describe(code)}"))
        self._finish()
        return self._phase is Phase.RUNNING

    def worker_gone(self, index: int, death: int) -> None:
        """The acceptor uses a dead worker no more."""
        self._crew.worker_gone(index, death)

    def worker_spared(self, index: int, death: int) -> None:
        """The acceptor gives a worker that drains nothing new any more."""
        self._crew.worker_spared(index, death)

    def _advance(self) -> None:
        """Open for clients when everybody is ready."""
        ready = self._porter.ready and self._crew.all_ready()
        if self._phase is not Phase.FILLING or not ready:
            return
        self._enter(Phase.RUNNING)
        self.tell_acceptor({"op": "accept"})
        self._loop.after(CPU_PERIOD, self._sample)
        settings = self._settings
        if credentials.open_to_guests(self._resources.catalog):
            self._log.warning(OPEN_TO_GUESTS)
        self._log.info(
            "ready",
            name=settings.name,
            version=self._version,
            listeners=",".join(str(listener.uri) for listener in self._resources.listeners),
            control=self._resources.control.path,
            console=",".join(str(console.uri) for console in self._resources.consoles) or "none",
            **self._resources.told_metrics(),
            workers=settings.worker_count,
            pid=os.getpid(),
            app=settings.app.file or "none",
        )
        self._notifier.ready(self._resources.segment)

    def _sample(self) -> None:
        if self._phase is Phase.RUNNING:
            self._crew.record_cpu(self._cpu.sample(self._crew.pids()))
            self._loop.after(CPU_PERIOD, self._sample)

    def _attempt(self, start: Callable[[], None]) -> None:
        """Start a process that the server cannot begin without."""
        try:
            start()
        except OSError as error:
            self._fail(ServerError(f"a process cannot be started: {error.strerror}"))

    def _fail(self, failure: ServerError) -> None:
        """The start has failed: stop, and let :meth:`run` raise the first failure."""
        self._failure = self._failure or failure
        self._stop()

    def _on_signal(self, number: signal.Signals) -> None:
        """The first signal to stop does it in good order, the second at once."""
        if number in CHANGE_SIGNALS:
            self._change(number)
            return
        if self._phase is Phase.STOPPING:
            self._log.warning("asked to stop again: killing all processes", signal=number.name)
            self._kill()
            return
        self._log.info("stopping", signal=number.name)
        self._stop()

    def _change(self, number: signal.Signals) -> None:
        if self._phase is not Phase.RUNNING:
            self._log.warning("signal ignored: the server is not ready", signal=number.name)
        elif number is signal.SIGHUP:
            self._changes.reload()
        elif number is signal.SIGUSR2:
            self._changes.restart_workers()
        else:
            self._changes.resize(1 if number is signal.SIGTTIN else -1)

    def _stop(self) -> None:
        if self._phase is Phase.STOPPING:
            return
        self._enter(Phase.STOPPING)
        self._changes.end()
        self._notifier.stopping(self._failure)
        self._porter.stop()
        self._crew.stop()
        patience = self._patience()
        self._loop.after(patience, lambda: self._kill_late(patience))
        self._finish()

    def _patience(self) -> float:
        return self._settings.process.stop_timeout + GRACE_SECONDS

    def _kill_late(self, waited: float) -> None:
        self._log.warning("killing processes that did not stop", waited=f"{waited:g}s")
        self._kill()
        self._loop.after(KILLED_SECONDS, self._loop.stop)

    def _kill(self) -> None:
        self._porter.kill()
        self._crew.kill()
        self._surveyor.kill()

    def _finish(self) -> None:
        """Leave the loop when the last child of a stopping server has ended: that of metrics."""
        if self._phase is not Phase.STOPPING or self._porter.child or self._crew.pids():
            return
        self._surveyor.stop()
        if self._surveyor.child is None:
            self._loop.stop()


def _end_resource_tracker() -> None:
    """End the helper process of ``multiprocess`` now, so that no process outlives this one.

    By itself it ends when it sees that we are gone. It has no public way to be told.
    """
    stop = getattr(resource_tracker._resource_tracker, "_stop", None)
    if stop is not None:
        stop()
