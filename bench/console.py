"""What a console costs: those beside it, while it prints much, and itself, with small statements.

Called by ``bench.cli``. A probe (``bench.probe``) asks over a session of the same worker, so of a
server with one, while another process (``bench.typist``) types at a console; before that the same
without. Every answer of the console is compared with the right one, byte for byte.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from bench import typist, usage
from bench.address import Address
from bench.loader import workers_of
from bench.packets import AnswerError
from bench.probe import Probe
from bench.rounds import Plan
from bench.session import Endpoint, Session
from bench.stats import median, quantile
from bench.targets import CHECKOUT, TargetError

P99_BAR: Final = 50_000.0
"""Microseconds that 99 of 100 requests may take beside a console that prints."""
QUIET: Final = "does nothing"
QUIET_SECONDS: Final = 2.0
BUSY_TASKS: Final = ("table", "string", "lua-string", "input")
DEPTHS: Final = (1, 100)
"""Statements that are typed before the first one is answered."""
BATCHES: Final = 20
"""Of the deepest kind, in a round."""


@dataclass(frozen=True)
class BesideFigure:
    """Requests of another session while a console does something; times in microseconds."""

    target: str
    summary: str
    requests: int
    """In all rounds."""
    answer_seconds: float | None
    """Of one answer of the console, median; None where it does nothing."""
    p50: float
    p99: float
    """Medians of the rounds' own quantiles."""
    slowest: float
    """Of all rounds."""

    @property
    def met(self) -> bool:
        """Whether the bar was kept."""
        return self.p99 <= P99_BAR


@dataclass(frozen=True)
class StatementFigure:
    """Small statements over a console, ``depth`` at a time."""

    target: str
    depth: int
    statements: int
    """In a round."""
    seconds: float
    """Of a round, median."""
    cpu_seconds: float | None
    """Of all the server's processes, in a round; None when they cannot be seen."""

    @property
    def rate(self) -> float:
        """Statements a second."""
        return self.statements / self.seconds


def beside(
    endpoint: Endpoint,
    plan: Plan,
    progress: Callable[[str], None],
    tasks: Sequence[str] = BUSY_TASKS,
) -> list[BesideFigure]:
    """A quiet console and one with each task; TargetError when an answer is wrong."""
    with _naming(endpoint):
        if (workers := workers_of(endpoint)) != 1:
            raise AnswerError(f"it has {workers} workers, expected one that does everything")
        return [_beside(endpoint, name, plan, progress) for name in (None, *tasks)]


def statements(
    endpoints: Sequence[Endpoint],
    plan: Plan,
    progress: Callable[[str], None],
    batches: int = BATCHES,
) -> list[StatementFigure]:
    """Small statements one at a time and many, the servers in turns; TargetError as above."""
    count = batches * max(DEPTHS)
    found = []
    for depth in DEPTHS:
        taken: list[list[tuple[float, float | None]]] = [[] for _ in endpoints]
        for turn in plan.turns():
            for endpoint, rows in zip(endpoints, taken, strict=True):
                progress(f"{endpoint.name}: {depth} statements at a time  {turn}/{plan.rounds}")
                with _naming(endpoint):
                    rows.append(_round(endpoint, depth, count))
        for endpoint, rows in zip(endpoints, taken, strict=True):
            seconds, costs = zip(*rows, strict=True)
            cost = None if None in costs else median(costs)
            found.append(StatementFigure(endpoint.name, depth, count, median(seconds), cost))
    return found


def _round(endpoint: Endpoint, depth: int, count: int) -> tuple[float, float | None]:
    """Seconds for so many small statements, and the CPU seconds of the server's processes."""
    lines, answers = typist.SMALL.statement() + b"\n", typist.SMALL.answer()
    lines, answers = lines * depth, answers * depth
    with typist.Console(_console(endpoint)) as console:
        console.exchange(lines, answers)
        before, begun = usage.cpu_seconds(endpoint.pid) if endpoint.pid else None, time.monotonic()
        for _ in range(count // depth):
            console.exchange(lines, answers)
        seconds = time.monotonic() - begun
        cost = None if before is None else usage.cpu_seconds(endpoint.pid or 0) - before
    return seconds, cost


def _beside(
    endpoint: Endpoint, name: str | None, plan: Plan, progress: Callable[[str], None]
) -> BesideFigure:
    summary = QUIET if name is None else typist.TASKS[name].summary
    delays: list[list[float]] = []
    answers: list[float] = []
    for turn in plan.turns():
        progress(f"{endpoint.name}: a console that {summary}  {turn}/{plan.rounds}")
        with Session(endpoint) as session:
            probe = Probe(session)
            if name is None:
                probe.run(QUIET_SECONDS)
            else:
                answers += _type(endpoint, name, probe)
            delays.append(probe.delays)
    return BesideFigure(
        endpoint.name,
        summary,
        sum(map(len, delays)),
        median(answers) if answers else None,
        median(quantile(each, 0.5) for each in delays),
        median(quantile(each, 0.99) for each in delays),
        max(map(max, delays)),
    )


def _type(endpoint: Endpoint, name: str, probe: Probe) -> list[float]:
    """Let a typist do its task once, probing meanwhile; the seconds of each of its answers."""
    command = [sys.executable, "-m", "bench.typist", str(_console(endpoint)), name]
    with subprocess.Popen(
        [*command, str(typist.TASKS[name].count)],
        cwd=CHECKOUT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            _hear(process.stdout.readline(), "ready")
            process.stdin.write("go\n")
            process.stdin.flush()
            probe.run(until=process.stdout.fileno())
            took: list[float] = json.loads(_hear(process.stdout.readline(), "["))
        except BaseException:
            process.kill()
            raise
    return took


def _hear(line: str, expected: str) -> str:
    """A line of the typist's; AnswerError when it says that something is wrong."""
    if not line.startswith(expected):
        raise AnswerError(line.strip() or "the process at the console ended")
    return line


def _console(endpoint: Endpoint) -> Address:
    if endpoint.console is None:
        raise AnswerError("its console is not known")
    return endpoint.console


@contextmanager
def _naming(endpoint: Endpoint) -> Iterator[None]:
    try:
        yield
    except (OSError, AnswerError) as error:
        raise TargetError(f"console of {endpoint.name!r}: {error}") from error
