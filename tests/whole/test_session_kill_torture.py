"""Sessions are ended while others come and go in the same slots: nobody else's, each once."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from tests.helpers.raw import CALL, Raw, request
from tests.helpers.victims import APP, Scene, is_cut_off
from tests.helpers.wait import wait_until
from tests.whole.conftest import Start

SECONDS = 4.0
SLOTS = 48
"""So few that a slot is another session's a moment later."""
VISITORS, SUFFERERS = 6, 4
FATES = ("leaves", "leaves", "waits and leaves", "killed", "killed while busy")
PATIENCE = 20.0


@dataclass
class Record:
    """What the threads of the test have seen and done."""

    over: threading.Event = field(default_factory=threading.Event)
    left: list[int] = field(default_factory=list)
    killed: list[int] = field(default_factory=list)
    busy: int = 0
    asked: int = 0
    faults: list[str] = field(default_factory=list)

    def has_enough(self) -> bool:
        """Whether everything has happened some times, and slots were used again."""
        least = min(len(self.left), len(self.killed), self.busy, self.asked)
        return least > 5 and max(*self.left, *self.killed) > 2 * SLOTS

    def guard(self, work: Callable[[], None]) -> None:
        """Run this again and again until it is over, and note down what it raises."""
        try:
            while not self.over.is_set():
                work()
        except Exception as error:  # noqa: BLE001  the test says what it was
            self.faults.append(repr(error))


@dataclass
class Visits:
    """Sessions one after the other, some of which their own killer ends."""

    scene: Scene
    record: Record
    killer: Raw
    chance: random.Random

    def __call__(self) -> None:
        with Raw(self.scene.server.address, PATIENCE) as client:
            session, worker = client.eval("return box.session.id(), box.workers.id()").data
            fate = self.chance.choice(FATES)
            if fate.startswith("killed"):
                # Those who ask for its end are sessions of the other worker.
                self.kill(client, session, is_busy=fate == "killed while busy" and worker == 1)
                return
            if fate == "waits and leaves":
                client.eval("require('fiber').sleep(0.002)")
            client.ping()
            self.record.left.append(session)

    def kill(self, client: Raw, session: int, *, is_busy: bool) -> None:
        if is_busy:
            self.record.busy += 1
            client.send(request({0: CALL, 1: 9}, {0x22: "busy", 0x21: []}))
        (count,) = self.killer.eval("return box.session.kill(...)", session).data
        assert count == 1, f"session {session} was not there"
        assert is_cut_off(client, PATIENCE), f"session {session} was not cut off"
        self.record.killed.append(session)


def endure(client: Raw) -> None:
    """A session that nobody wants to end."""
    client.eval("require('fiber').sleep(0.01)")


def end_the_dead(record: Record, killer: Raw, chance: random.Random) -> None:
    """Ask for the end of sessions that are over, and whose slots are others'."""
    killer.eval("require('fiber').sleep(0.01)")
    past = [*record.left, *record.killed]
    if past:
        ids = chance.choices(past, k=50)
        record.asked += 1
        # One that has just left may still be there; it was to end anyhow.
        killer.eval("return box.session.kill{id = ...}", ids)


def test_nobody_else_is_hit(start: Start, tmp_path: Path) -> None:
    record = Record()
    with contextlib.ExitStack() as stack:
        server = start(app=APP % str(tmp_path), workers=2, arguments=["--max-sessions", str(SLOTS)])
        scene = Scene(server, tmp_path, stack)
        killers = [scene.client(0)[0] for _ in range(VISITORS + 1)]
        others = [stack.enter_context(Raw(server.address, PATIENCE)) for _ in range(SUFFERERS)]
        work: list[Callable[[], None]] = [
            Visits(scene, record, killer, random.Random(number))
            for number, killer in enumerate(killers[:VISITORS])
        ]
        work += [partial(endure, client) for client in others]
        work.append(partial(end_the_dead, record, killers[-1], random.Random(99)))
        threads = [threading.Thread(target=record.guard, args=(each,)) for each in work]
        for thread in threads:
            thread.start()
        until = time.monotonic() + SECONDS
        with contextlib.suppress(AssertionError):
            wait_until(
                lambda: record.faults or (time.monotonic() >= until and record.has_enough()), 30
            )
        record.over.set()
        for thread in threads:
            thread.join()

        assert record.faults == []
        own = [client.eval("return box.session.id()").data[0] for client in (*killers, *others)]
        past = {*record.left, *record.killed}
        wait_until(lambda: past <= set(scene.notes("ended")), 20, "all of on_disconnect")
        ended = scene.notes("ended")
        assert set(own).isdisjoint(ended)
        assert {len(reasons) for reasons in ended.values()} == {1}
        assert {ended[session][0] for session in record.killed} == {"killed"}
        assert {ended[session][0] for session in record.left} <= {"client", "killed"}
        print(len(record.left), "left,", len(record.killed), "were killed,", record.busy, "busy")
        assert record.has_enough()
