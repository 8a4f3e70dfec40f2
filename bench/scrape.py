"""Metrics asked for while very many sessions are there: how long it takes, and who pays for it.

Called by ``bench.cli`` and ``bench.suite.scrape``. The sessions are idle ones (``bench.crowd``).
Only texts that were made for the request count: who asks too often gets the last one again, which
the time inside tells. The workers' CPU is taken while nobody asks, and while somebody does.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from typing import Final

import psutil

from bench import usage
from bench.address import free_port
from bench.crowd import crowd
from bench.rounds import Plan
from bench.session import Endpoint
from bench.stats import median
from bench.targets import TargetError

BAR: Final = 0.1
"""Seconds that a scrape may take."""
KINDS: Final = {
    "Prometheus": "text/plain;version=0.0.4",
    "OpenMetrics": "application/openmetrics-text",
}
"""Texts, and the Accept that asks for them."""

_PATIENCE: Final = 10.0
_AGAIN: Final = 0.05
"""Seconds until it is asked again, after a text that had been sent before."""
_SESSIONS: Final = re.compile(rb"^beespace_sessions\{[^\n]*\} (\S+)$", re.MULTILINE)
_TIME: Final = re.compile(rb"^tnt_cfg_current_time\{[^\n]*\} (\S+)$", re.MULTILINE)


@dataclass(frozen=True)
class ScrapeFigure:
    """One form of the text; times in seconds, of the client."""

    kind: str
    scrapes: int
    size: int
    """Bytes of the last text."""
    middle: float
    """Median."""
    slowest: float
    cpu: float
    """CPU seconds of the process of metrics, a scrape."""

    @property
    def met(self) -> bool:
        """Whether the bar was kept."""
        return self.middle <= BAR


@dataclass(frozen=True)
class WorkersFigure:
    """CPU of all workers, per cent of one core; medians of the rounds."""

    quiet: float
    asked: float
    """While somebody asks without a pause."""
    scrapes: int
    """Texts that were made meanwhile, in all rounds."""


@dataclass(frozen=True)
class Site:
    """A server that answers for metrics."""

    endpoint: Endpoint
    port: int

    def processes(self, role: str) -> list[int]:
        """Ids of the processes whose titles begin so; TargetError when there are none."""
        pids = usage.tree(self.endpoint.pid or 0)
        found = [pid for pid in pids if f"beespace: {role}" in _title(pid)]
        if not found:
            raise TargetError(f"target {self.endpoint.name!r}: it has no process '{role}'")
        return found


@contextmanager
def filled(sessions: int, progress: Callable[[str], None]) -> Iterator[Site]:
    """A server of our own with so many idle sessions; TargetError when it does not take them."""
    port = free_port()
    with crowd(sessions, f"metrics: {{listen: {port}}}") as there:
        there.grow(sessions, progress)
        site = Site(there.endpoint, port)
        with _scraper(site, KINDS["Prometheus"]) as scraper:
            if (count := scraper.sessions()) < sessions:
                raise TargetError(f"metrics tell of {count} sessions, expected {sessions}")
        yield site


def scrapes(site: Site, rounds: int, progress: Callable[[str], None]) -> list[ScrapeFigure]:
    """So many of each text; TargetError when there is no answer."""
    (pid,) = site.processes("metrics")
    found = []
    for kind, accept in KINDS.items():
        times, cpu = [], []
        with _scraper(site, accept) as scraper:
            scraper.scrape()
            for turn in range(rounds):
                progress(f"{kind}  {turn + 1}/{rounds}")
                took, used = scraper.scrape(lambda: usage.process_cpu(pid))
                times.append(took)
                cpu.append(used)
            size = len(scraper.text)
        figure = ScrapeFigure(kind, rounds, size, median(times), max(times), median(cpu))
        found.append(figure)
    return found


def workers(site: Site, plan: Plan) -> WorkersFigure:
    """What the workers notice: without and with somebody who asks, in turns."""
    pids = site.processes("worker")

    def used(ask: Callable[[], object]) -> tuple[float, int]:
        began, before = time.monotonic(), sum(map(usage.process_cpu, pids))
        count = 0
        while time.monotonic() - began < plan.seconds:
            ask()
            count += 1
        share = (sum(map(usage.process_cpu, pids)) - before) / (time.monotonic() - began)
        return share * 100, count

    quiet, asked, scrapes = [], [], 0
    with _scraper(site, KINDS["Prometheus"]) as scraper:
        for _ in plan.turns():
            quiet.append(used(lambda: time.sleep(_AGAIN))[0])
            share, count = used(scraper.scrape)
            asked.append(share)
            scrapes += count
    return WorkersFigure(median(quiet), median(asked), scrapes)


class _Scraper:
    """One connection that asks for one form of the text."""

    def __init__(self, client: HTTPConnection, accept: str) -> None:
        self._client = client
        self._accept = accept
        self._last = ""
        self.text = b""

    def scrape(self, cpu: Callable[[], float] = lambda: 0.0) -> tuple[float, float]:
        """Have a text made; how long that took, and what ``cpu`` grew by, in seconds."""
        while True:
            before, began = cpu(), time.perf_counter()
            self._client.request("GET", "/metrics", headers={"Accept": self._accept})
            response = self._client.getresponse()
            self.text = response.read()
            took = time.perf_counter() - began
            stamp = _TIME.search(self.text)
            if response.status != 200 or stamp is None:
                raise TargetError(f"metrics: got status {response.status}, expected metrics")
            if stamp[1].decode() != self._last:
                self._last = stamp[1].decode()
                return took, cpu() - before
            time.sleep(_AGAIN)

    def sessions(self) -> int:
        """Sessions of all kinds."""
        self.scrape()
        return int(sum(float(value) for value in _SESSIONS.findall(self.text)))


@contextmanager
def _scraper(site: Site, accept: str) -> Iterator[_Scraper]:
    client = HTTPConnection("127.0.0.1", site.port, timeout=_PATIENCE)
    with contextlib.closing(client):
        try:
            yield _Scraper(client, accept)
        except (OSError, HTTPException) as error:
            raise TargetError(f"metrics of target {site.endpoint.name!r}: {error}") from error


def _title(pid: int) -> str:
    try:
        return " ".join(psutil.Process(pid).cmdline())
    except psutil.Error:
        return ""
