"""Sessions counted and listed while very many are there: how long, and what others notice of it.

Called by ``bench.cli``. The sessions are idle ones (``bench.crowd``).
Counts are timed in the server, by the clock of its worker. Then another process
(``bench.loader``) lists all sessions page by page, again and again, while a probe (``bench.probe``)
asks over another session of the same worker; before that the same without.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Final

from bench import packets
from bench.crowd import crowd
from bench.loader import behind, on_worker
from bench.packets import AnswerError
from bench.probe import Probe
from bench.rounds import Plan
from bench.session import Endpoint, Session
from bench.stats import median, quantile
from bench.targets import TargetError

COUNT_BAR: Final = 0.01
"""Seconds that a count may take."""
P99_BAR: Final = 10_000.0
"""Microseconds that 99 of 100 requests may take beside a list."""
SESSIONS: Final = 60_000
MOST_SESSIONS: Final = 65_000
PAGE: Final = 1000
"""Rows of a page."""
SECONDS: Final = 3.0
"""Of a round of the probe."""

FILTERS: Final = (
    "",
    "{user = 'guest'}",
    "{peer = '127.0.0.3'}",
    "{peer = '127.0.0.0/28', not_worker = 0, idle_gt = 1}",
)
"""Of the counts, as Lua."""

_COUNT: Final = """
local clock = require('clock').monotonic
local begun = clock()
local count = box.session.count(%s)
return count, clock() - begun
"""


@dataclass(frozen=True)
class CountFigure:
    """One way of counting."""

    filter: str
    counted: int
    seconds: float
    """Median of the rounds."""

    @property
    def met(self) -> bool:
        """Whether the bar was kept."""
        return self.seconds <= COUNT_BAR


@dataclass(frozen=True)
class PageFigure:
    """Requests of another session of the same worker; microseconds, medians of the rounds."""

    pages: float | None
    """Pages a second that are listed meanwhile, None where nothing is."""
    requests: int
    """In all rounds."""
    p50: float
    p99: float
    slowest: float
    """Of all rounds."""

    @property
    def met(self) -> bool:
        """Whether the bar was kept."""
        return self.p99 <= P99_BAR


@contextmanager
def filled(sessions: int, progress: Callable[[str], None]) -> Iterator[Endpoint]:
    """A server of our own with so many idle sessions; TargetError when it does not take them."""
    with crowd(sessions) as there:
        there.grow(sessions, progress)
        endpoint = there.endpoint
        with _naming(endpoint), Session(endpoint) as session:
            if (count := _evaluate(session, _COUNT % "")[0]) < sessions:
                raise AnswerError(f"it has {count} sessions, expected {sessions}")
        yield endpoint


def counts(endpoint: Endpoint, plan: Plan) -> list[CountFigure]:
    """Every filter counted in turns; TargetError when an answer is wrong."""
    taken: dict[str, list[float]] = {each: [] for each in FILTERS}
    counted: dict[str, int] = {}
    with _naming(endpoint), Session(endpoint) as session:
        for _ in plan.turns():
            for each in FILTERS:
                counted[each], seconds = _evaluate(session, _COUNT % each)
                taken[each].append(seconds)
    return [CountFigure(each, counted[each], median(taken[each])) for each in FILTERS]


def pages(
    endpoint: Endpoint, plan: Plan, progress: Callable[[str], None], seconds: float = SECONDS
) -> list[PageFigure]:
    """Beside nothing, and beside somebody who lists all; TargetError when an answer is wrong."""
    found = []
    for busy in (False, True):
        delays: list[list[float]] = []
        rates = []
        for turn in plan.turns():
            progress(f"beside {'a list' if busy else 'nothing'}  {turn}/{plan.rounds}")
            with _naming(endpoint), ExitStack() as stack:
                probe = Probe(on_worker(endpoint, 0, stack))
                if busy:
                    with behind(endpoint, "pages", PAGE, 0) as others:
                        probe.run(seconds)
                    rates.append(others.rate)
                else:
                    probe.run(seconds)
                delays.append(probe.delays)
        found.append(
            PageFigure(
                median(rates) if rates else None,
                sum(map(len, delays)),
                median(quantile(each, 0.5) for each in delays),
                median(quantile(each, 0.99) for each in delays),
                max(map(max, delays)),
            )
        )
    return found


def _evaluate(session: Session, source: str) -> tuple[int, float]:
    body = {packets.KEY_EXPRESSION: source, packets.KEY_TUPLE: []}
    answer = session.exchange(packets.request(packets.TYPE_EVAL, 1, body), 1)
    told = packets.decode(answer).data()
    if not isinstance(told, list) or [type(each) for each in told] != [int, float]:
        raise AnswerError(f"box.session.count: wrong result {told!r}")
    return told[0], told[1]


@contextmanager
def _naming(endpoint: Endpoint) -> Iterator[None]:
    try:
        yield
    except (OSError, AnswerError) as error:
        raise TargetError(f"sessions of {endpoint.name!r}: {error}") from error
