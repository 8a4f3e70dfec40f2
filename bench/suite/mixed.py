"""Short requests beside others that wait or compute: on the same worker, and on another one.

A short request is a PING that is due every millisecond; its time counts from then.
"""

from __future__ import annotations

from collections.abc import Sequence
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
    """Each kind of others in turn, the servers in turns."""
    plan, found = context.plan(), []
    with context.servers() as endpoints:
        known = {endpoint: _kinds(endpoint) for endpoint in endpoints}
        for kind in (QUIET, MIXED, OTHER, SAME):
            context.progress(f"beside {kind}")
            found += in_turns([each for each in endpoints if kind in known[each]], kind, plan)
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


def in_turns(endpoints: Sequence[Endpoint], kind: str, plan: Plan) -> list[Beside]:
    """One kind of others; TargetError when a server fails."""
    rounds: list[list[tuple[list[float], float | None]]] = [[] for _ in endpoints]
    for _ in plan.turns():
        for endpoint, taken in zip(endpoints, rounds, strict=True):
            try:
                taken.append(_round(endpoint, kind, plan.seconds))
            except (OSError, AnswerError, lua.LuaError) as error:
                raise TargetError(f"{kind}, against {endpoint.name!r}: {error}") from error
    return [
        _figure(endpoint.name, kind, taken)
        for endpoint, taken in zip(endpoints, rounds, strict=True)
    ]


def _figure(target: str, kind: str, rounds: Sequence[tuple[list[float], float | None]]) -> Beside:
    delays = [[each / 1000 for each in took] for took, _ in rounds]
    rates = [rate for _, rate in rounds if rate is not None]
    return Beside(
        target,
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
