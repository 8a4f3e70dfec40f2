"""One soak from start to stop: rounds of load, one of them with faults, and what came of it.

    warm-up --> storm, with faults --> after --> again --> stop --> tests.soak.invariants

After each round everybody leaves, and figures are taken once the server has settled.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from shm.states import WorkerState
from tests.helpers import commands
from tests.helpers.inside import Inside
from tests.helpers.raw import Raw
from tests.helpers.server import DATA, Server, running
from tests.helpers.wait import wait_until
from tests.soak import clients, figures, gauges, journal, probes, visits
from tests.soak.faults import HANG, REQUEST_TIME, Faults
from tests.soak.guest import PATIENCE
from tests.soak.invariants import Facts, Round
from tests.soak.journal import Journal
from tests.soak.ledger import Ledger
from tests.soak.lookout import Lookout
from tests.soak.observer import Observer
from tests.soak.plan import Planned
from tests.soak.record import Record

WORKERS: Final = 4
DRAIN_TIMEOUT: Final = 3.0
SHARES: Final = (("warm-up", 0.15), ("storm", 0.5), ("after", 0.15), ("again", 0.2))
"""Rounds, and their parts of the time; faults are in the storm."""
SHORT: Final = (("warm-up", 0.3), ("storm", 0.7))
"""Those of a run that only shows that the soak itself works."""
SETTLE_TIME: Final = 40.0
"""Seconds until a server is as it was when everybody has left: drains, hangs and restarts pass."""
TIDY: Final = "require('jit').flush() collectgarbage() collectgarbage()"
REST: Final = 1.5
"""Seconds that a settled server has to give memory back."""

PER_ADDRESS: Final = 240
"""More than all clients of a soak have at a time."""
PER_USER: Final = 100

SETTINGS: Final[dict[str, Any]] = {
    "workers": {"hang_timeout": HANG, "drain_timeout": DRAIN_TIMEOUT, "max": 16},
    "limits": {"request_time": REQUEST_TIME},
    "lua": {"memory": 128 << 20},
    "metrics": {"listen": 0},
    "session": {
        "login_timeout": 3,
        "output_limit": 1 << 20,
        "limits": {"total": 500, "per_user": PER_USER, "per_address": PER_ADDRESS},
    },
    "credentials": {
        "users": {
            name: {
                "password": visits.PASSWORD,
                "privileges": [{"permissions": ["execute"], "universe": True}],
            }
            for name in visits.USERS
        }
    },
}


@dataclass(frozen=True)
class Options:
    """What a run is told."""

    seed: int
    seconds: float
    plan: Callable[[float], list[Planned]]
    """The faults within so many seconds."""
    processes: int
    """Processes of clients."""
    folder: Path
    short: bool = False

    @property
    def shares(self) -> Sequence[tuple[str, float]]:
        """Rounds, and their parts of the time."""
        return SHORT if self.short else SHARES


def soak(options: Options, say: Callable[[str], None]) -> Facts:
    """Run; what came of it. AssertionError when the run itself cannot go on."""
    app = (DATA / "soak_app.lua").read_text().replace("@FOLDER@", str(options.folder))
    (options.folder / "journal").touch()
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(
            running(options.folder, app=app, workers=WORKERS, settings=SETTINGS)
        )
        inside = stack.enter_context(Inside(server))
        course = Course(options, say, server, inside)
        lookout = stack.enter_context(Lookout(inside, course.ledger))
        rounds = [course.round(name, share, lookout) for name, share in options.shares]
        probed = probes.all_of(server, inside, rounds, PER_ADDRESS, PER_USER)
        end = ""
        lookout.close()
        try:
            server.stop()
        except AssertionError as error:
            end = str(error)
        log = server.log.splitlines()
        return Facts(rounds, course.ledger, DRAIN_TIMEOUT, log, end, course.complaints, probed)


class Course:
    """The rounds of a run."""

    def __init__(
        self, options: Options, say: Callable[[str], None], server: Server, inside: Inside
    ) -> None:
        self._options = options
        self._say = say
        self._server = server
        self._inside = inside
        self.ledger = Ledger()
        self.complaints: list[str] = []
        self._figures = figures.take(inside)
        self._journal = Journal()

    def round(self, name: str, share: float, lookout: Lookout) -> Round:
        """Load for a part of the time, until everybody has left and the server has settled."""
        options, server, calm = self._options, self._server, name != "storm"
        seconds = options.seconds * share
        self._say(f"{name}: {seconds:.0f} s")
        number = [each for each, _ in options.shares].index(name)
        orders = clients.orders_for(
            server, options.folder, name, options.seed * 10 + number, options.processes, calm
        )
        own: list[Record] = []
        with clients.crowd(orders) as crowd:
            if calm:
                threading.Event().wait(seconds)
            else:
                own = self._storm(seconds, lookout)
            records = [*crowd.end(), *own]
        left = self._settle(lookout)
        return self._note(name, calm, records, left)

    def _storm(self, seconds: float, lookout: Lookout) -> list[Record]:
        """All faults; records of connections that were part of them."""
        options, server, ledger = self._options, self._server, self.ledger
        faults = Faults(server, lookout, ledger, options.folder)
        with Observer(server, ledger) as observer:
            faults.run(options.plan(seconds), self._say)
        self._say(f"{observer.answers} questions answered meanwhile")
        self.complaints = observer.complaints
        return faults.records

    def _settle(self, lookout: Lookout) -> int:
        """Bring the workers back to their number, wait; sessions that do not leave the table."""
        deadline = time.monotonic() + SETTLE_TIME
        with contextlib.suppress(AssertionError):
            wait_until(lambda: self._is_staffed(lookout), SETTLE_TIME, "all workers")
        with contextlib.suppress(AssertionError):
            wait_until(lambda: not self._sessions(), max(deadline - time.monotonic(), 5))
        threading.Event().wait(REST)
        return self._sessions()

    def _is_staffed(self, lookout: Lookout) -> bool:
        """Whether all workers serve, after a step towards that."""
        workers = lookout.workers()
        serving = [worker for worker in workers if worker.on_duty]
        if len(serving) != WORKERS:
            by = 1 if len(serving) < WORKERS else -1
            commands.asked(self._server, "workers", patience=PATIENCE, by=by)
        return (
            len(serving) == len(workers) == WORKERS
            and all(worker.state == WorkerState.READY for worker in workers)
            and not any(worker.pid in self.ledger.struck for worker in workers)
            and lookout.acceptor() != 0
        )

    def _sessions(self) -> int:
        return sum(1 for _ in self._inside.table.sessions())

    def _note(self, name: str, calm: bool, records: list[Record], left: int) -> Round:
        figures_now = figures.take(self._inside)
        new = self._notes().since(self._journal)
        _place(records, new)
        made = Round(
            name,
            calm,
            records,
            figures_now.since(self._figures),
            new,
            left,
            commands.status(self._server)["sessions"],
            figures.loads(self._inside),
            self._measure(),
        )
        self._figures, self._journal = figures.take(self._inside), self._notes()
        return made

    def _notes(self) -> Journal:
        return journal.parse((self._options.folder / "journal").read_text().splitlines())

    def _measure(self) -> list[gauges.Gauge]:
        """The processes, workers without garbage and machine code; takes a session of its own."""
        with Raw(self._server.address, PATIENCE) as client:
            client.eval(f"box.workers.eval([[{TIDY}]])")
        wait_until(lambda: not self._sessions(), PATIENCE, "its end")
        return gauges.take(self._server)


def _place(records: Sequence[Record], notes: Journal) -> None:
    """Find out whose the sessions were that were not told themselves."""
    find = notes.whereabouts()
    for record in records:
        if record.pid == 0 and record.peer:
            note = find(record.peer, record.began, record.ended)
            record.pid = note.pid if note else 0
