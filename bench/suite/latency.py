"""How long answers take at a fixed rate of arrivals, from light load to the knee.

The knee is the highest rate that a server answers with 99 of 100 within KNEE_P99; the rates that
are tried are shares of what it answers in a closed loop.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bench import lua
from bench.arrivals import Arrivals, Arrived
from bench.client import BUSY_CLIENT
from bench.outcome import Curve, Line, Outcome, Promise
from bench.packets import AnswerError
from bench.report import CLIENT_BOUND
from bench.rounds import Plan
from bench.scenarios import SCENARIOS
from bench.session import Endpoint
from bench.stats import median, ratio
from bench.suite import loads
from bench.suite.context import Context
from bench.table import Table
from bench.targets import TargetError

KNEE_P99: Final = 10_000.0
"""Microseconds."""
KNEE_LIMIT: Final = 1.5
"""Times the reference's knee, at least."""
CONNECTIONS: Final = 16
SHARES: Final = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
_QUANTILES: Final = (0.5, 0.9, 0.99, 0.999)
KIND: Final = SCENARIOS["exists"]


@dataclass(frozen=True)
class Step:
    """One rate against one server; microseconds, medians of the rounds."""

    target: str
    rate: float
    found: float
    quantiles: tuple[float, ...]
    overloaded: bool
    client_share: float

    @property
    def p99(self) -> float:
        """What 99 of 100 requests did not exceed."""
        return self.quantiles[_QUANTILES.index(0.99)]

    @property
    def client_bound(self) -> bool:
        """Whether the load generator was the limit."""
        return self.client_share >= BUSY_CLIENT

    @property
    def is_good(self) -> bool:
        """Whether the server keeps up."""
        return not self.overloaded and self.p99 <= KNEE_P99


def run(context: Context) -> Outcome:
    """The ladder of each server, then both at half of the reference's knee."""
    plan, arrivals = context.plan(), Arrivals(context.client())
    shares = context.size(SHARES, (0.05, 0.1))
    with context.servers() as endpoints:
        closed = loads.measure(context, plan, endpoints, KIND.name, CONNECTIONS, 64)
        ladders: list[list[Step]] = [[] for _ in endpoints]
        for share in shares:
            context.progress(f"{share:.0%} of what a closed loop reaches")
            rates = [share * series.rate for series in closed]
            for steps, step in zip(
                ladders, in_turns(arrivals, endpoints, rates, plan), strict=True
            ):
                steps.append(step)
        knees = [knee(steps) for steps in ladders]
        known = len(endpoints) > 1 and knees[-1] > 0
        rates = [knees[-1] / 2] * len(endpoints)
        half = in_turns(arrivals, endpoints, rates, plan) if known else []
    names = " / ".join(context.names)
    times = ratio(knees[0], knees[1]) if known else None
    worse = ratio(half[0].p99, half[1].p99) if half else None
    about = "at half of the reference's knee"
    if half:
        about += f" ({half[0].rate:,.0f}/s)"
    promises = [
        Promise(f"knee, {CONNECTIONS} connections: {names}", KNEE_LIMIT, times, "x"),
        Promise(f"p99 {about}: {names}", 1.0, worse, "x", at_least=False),
    ]
    every = [step for steps in ladders for step in steps]
    return Outcome(
        [_table("Arrivals at a fixed rate (medians)", every), *_second(about, half)],
        promises,
        [_curve(ladders)],
        {
            "steps": [_plain(step) for step in every],
            "half": [_plain(step) for step in half],
            "knees": dict(zip(context.names, knees, strict=True)),
        },
        [_told(steps) for steps in ladders],
    )


def _plain(step: Step) -> dict[str, object]:
    return {**vars(step), "client_bound": step.client_bound}


def _second(about: str, half: Sequence[Step]) -> list[Table]:
    return [_table(f"Arrivals {about} (medians)", half)] if half else []


def in_turns(
    arrivals: Arrivals, endpoints: Sequence[Endpoint], rates: Sequence[float], plan: Plan
) -> list[Step]:
    """A rate for each server, the servers in turns."""
    found: list[list[Arrived]] = [[] for _ in endpoints]
    for _ in plan.turns():
        for endpoint, rate, rounds in zip(endpoints, rates, found, strict=True):
            rounds.append(_round(arrivals, endpoint, rate, plan))
    return [_made(each.name, rounds) for each, rounds in zip(endpoints, found, strict=True)]


def _round(arrivals: Arrivals, endpoint: Endpoint, rate: float, plan: Plan) -> Arrived:
    try:
        return arrivals.measure(endpoint, KIND, CONNECTIONS, rate, plan.seconds)
    except (OSError, AnswerError, lua.LuaError) as error:
        raise TargetError(f"{rate:,.0f}/s against {endpoint.name!r}: {error}") from error


def _made(target: str, rounds: Sequence[Arrived]) -> Step:
    return Step(
        target,
        rounds[0].asked,
        median(each.found for each in rounds),
        tuple(median(each.quantile(share) for each in rounds) for share in _QUANTILES),
        sum(each.overloaded for each in rounds) * 2 > len(rounds),
        median(each.client_share for each in rounds),
    )


def knee(steps: Sequence[Step]) -> float:
    """The highest rate with which the server kept up, 0 when there is none."""
    return max((step.rate for step in steps if step.is_good), default=0.0)


def _told(steps: Sequence[Step]) -> str:
    """The knee in words."""
    found, sign = knee(steps), "at least " if steps[-1].is_good else ""
    if not found:
        return f"{steps[0].target}: no rate kept p99 within {KNEE_P99 / 1000:g} ms"
    return f"{steps[0].target}: the knee is {sign}{found:,.0f} requests/s"


def _table(title: str, steps: Sequence[Step]) -> Table:
    rows = [
        (
            step.target,
            f"{step.rate:,.0f}",
            f"{step.found:,.0f}",
            *(f"{value:,.0f}" for value in step.quantiles),
            f"{step.client_share:.0%}" + ("!" if step.client_bound else ""),
            "" if step.is_good else "overloaded" if step.overloaded else "too slow",
        )
        for step in steps
    ]
    columns = ("server", "due/s", "answered/s", "p50 us", "p90 us", "p99 us", "p99.9 us")
    notes = ["time counts from when a request was due"]
    notes += [CLIENT_BOUND] if any(step.client_bound for step in steps) else []
    return Table(title, (*columns, "client busy", ""), tuple(rows), 1, tuple(notes))


def _curve(ladders: Sequence[Sequence[Step]]) -> Curve:
    lines = [
        Line(f"{steps[0].target} p{share * 100:g}", tuple((s.rate, s.quantiles[at]) for s in steps))
        for steps in ladders
        for at, share in enumerate(_QUANTILES)
        if share in (0.5, 0.99)
    ]
    return Curve("arrivals at a fixed rate", "requests/s", "us", tuple(lines), growth=False)
