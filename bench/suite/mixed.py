"""Short requests beside others that wait or compute: on the same worker, and on another one.

A short request is a PING that is due every millisecond; its time counts from then.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import Final

from bench import lua
from bench.loader import behind, on_worker, workers_of
from bench.outcome import Outcome, Promise
from bench.packets import AnswerError
from bench.probe import Probe
from bench.rounds import Plan
from bench.session import Endpoint
from bench.stats import median, quantile
from bench.suite.context import Context
from bench.table import Table
from bench.targets import TargetError

SLICE: Final = 0.01
"""Seconds that a call of the burner computes; nothing else of its worker runs meanwhile."""
APART: Final = 2.0
"""Milliseconds that 99 of 100 short requests may take while another worker computes."""
BESIDE: Final = SLICE * 1000 + 2.0
"""The same while their own worker does: the slice, and what is left."""

QUIET: Final = "nothing"
MIXED: Final = "90 % short calls, 10 % that sleep 5 ms, 20x10"
OTHER: Final = f"a session of another worker computes, {SLICE * 1000:g} ms a call"
SAME: Final = f"a session of the same worker computes, {SLICE * 1000:g} ms a call"


@dataclass(frozen=True)
class Beside:
    """Short requests beside one kind of others; milliseconds, medians of the rounds."""

    target: str
    beside: str
    p50: float
    p99: float
    slowest: float
    others: float | None
    """Requests a second of the others, None without."""


def run(context: Context) -> Outcome:
    """Every server by itself: those beside it would share its cores."""
    plan = context.plan()
    found = []
    for name in context.names:
        with context.servers([name]) as (endpoint,):
            for kind in _kinds(endpoint):
                context.progress(f"{name}: beside {kind}")
                found.append(_measure(endpoint, kind, plan))
    own = {each.beside: each for each in found if each.target == context.subject}
    promises = [
        _promise("short requests while another worker computes, p99", APART, own.get(OTHER)),
        _promise("short requests while their own worker computes, p99", BESIDE, own.get(SAME)),
    ]
    rows = [
        (
            each.target,
            each.beside,
            *(f"{value:.2f}" for value in (each.p50, each.p99, each.slowest)),
            "" if each.others is None else f"{each.others:,.0f}",
        )
        for each in found
    ]
    columns = ("server", "beside", "p50 ms", "p99 ms", "max ms", "others/s")
    return Outcome(
        [Table("Short requests beside others (medians)", columns, tuple(rows))],
        promises,
        figures={"beside": [asdict(each) for each in found]},
    )


def _kinds(endpoint: Endpoint) -> list[str]:
    """What there is to be beside: another worker only where there are two."""
    try:
        apart = [OTHER] if workers_of(endpoint) > 1 else []
    except (OSError, AnswerError) as error:
        raise TargetError(f"target {endpoint.name!r}: {error}") from error
    return [QUIET, MIXED, *apart, SAME]


def _promise(about: str, limit: float, found: Beside | None) -> Promise:
    return Promise(about, limit, None if found is None else found.p99, "ms", at_least=False)


def _measure(endpoint: Endpoint, kind: str, plan: Plan) -> Beside:
    delays, rates = [], []
    for _ in plan.turns():
        try:
            took, rate = _round(endpoint, kind, plan.seconds)
        except (OSError, AnswerError, lua.LuaError) as error:
            raise TargetError(f"{kind}, against {endpoint.name!r}: {error}") from error
        delays.append([each / 1000 for each in took])
        rates += [] if rate is None else [rate]
    return Beside(
        endpoint.name,
        kind,
        median(quantile(each, 0.5) for each in delays),
        median(quantile(each, 0.99) for each in delays),
        max(map(max, delays)),
        median(rates) if rates else None,
    )


def _round(endpoint: Endpoint, kind: str, seconds: float) -> tuple[list[float], float | None]:
    """The short requests' microseconds, and the others' rate."""
    what: tuple[object, ...] = {
        QUIET: (),
        MIXED: ("load", "mixed", 20, 10),
        OTHER: ("burn", SLICE, 1),
        SAME: ("burn", SLICE, 0),
    }[kind]
    with ExitStack() as stack:
        probe = Probe(on_worker(endpoint, 0, stack))
        if not what:
            probe.run(seconds)
            return probe.delays, None
        with behind(endpoint, *what) as others:
            probe.run(seconds)
        return probe.delays, others.rate
