"""Asks a server how it fares while faults go on: status over its command socket, and metrics.

Whatever has happened, status is answered, and totals never go back. Who asks for metrics while
their process is dead gets no answer, which is all right for a while.
"""

from __future__ import annotations

import contextlib
import re
import threading
import time
from http.client import HTTPConnection, HTTPException
from typing import Final

from tests.helpers import commands
from tests.helpers.closing import Closing
from tests.helpers.server import Server
from tests.soak.guest import PATIENCE
from tests.soak.ledger import Ledger

PERIOD: Final = 0.25
"""Seconds between two questions."""
DEAD: Final = 20.0
"""Seconds for which there may be no metrics after their process was killed."""
TOTALS: Final = (
    "beespace_requests_total",
    "beespace_sessions_ended_total",
    "beespace_sessions_claimed_total",
)


def parse(text: str) -> dict[str, float]:
    """The totals in a text for Prometheus, each over all its labels."""
    found = dict.fromkeys(TOTALS, 0.0)
    for name, value in re.findall(r"^(\w+)(?:\{[^}]*\})? (\S+)$", text, re.MULTILINE):
        if name in found:
            found[name] += float(value)
    return found


def metrics(server: Server) -> dict[str, float]:
    """The totals now; OSError or HTTPException when nobody answers."""
    port = int(server.lines("I> ready ")[0].partition(" metrics=127.0.0.1:")[2].split()[0])
    with contextlib.closing(HTTPConnection("127.0.0.1", port, timeout=PATIENCE)) as client:
        client.request("GET", "/metrics")
        return parse(client.getresponse().read().decode())


class Observer(Closing):
    """Asks again and again in a thread; ``complaints`` is what was wrong."""

    def __init__(self, server: Server, ledger: Ledger) -> None:
        self._server = server
        self._ledger = ledger
        self.complaints: list[str] = []
        self.answers = 0
        self._seen: dict[str, float] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._observe)
        self._thread.start()

    def close(self) -> None:
        self._over.set()
        self._thread.join()

    def _observe(self) -> None:
        while not self._over.wait(PERIOD):
            self._ask_for_status()
            self._ask_for_metrics()

    def _ask_for_status(self) -> None:
        try:
            answer = commands.asked(self._server, "status", patience=PATIENCE)
        except (OSError, ValueError) as error:
            self.complaints.append(f"status: {type(error).__name__}: {error}")
            return
        self.answers += 1
        if not answer["ok"] or answer["answer"]["state"] != "running":
            self.complaints.append(f"status: {answer}")

    def _ask_for_metrics(self) -> None:
        began = time.monotonic()
        try:
            totals = metrics(self._server)
        except (OSError, HTTPException) as error:
            if not self._ledger.killed_metrics(began - DEAD, time.monotonic()):
                self.complaints.append(f"metrics: {type(error).__name__}: {error}")
            return
        self.answers += 1
        back = [name for name, value in totals.items() if value < self._seen.get(name, 0)]
        if back:
            self.complaints.append(f"metrics went back: {back} from {self._seen} to {totals}")
        self._seen = totals
