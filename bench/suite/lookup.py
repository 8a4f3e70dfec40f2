"""box.session.exists and peer from inside Lua, against the number of sessions.

A server for each size; rounds take turns between them, since a machine that is slower for a moment
would be taken for a table that is. As many sessions are asked for at every size, spread evenly over
the table, those of the asking worker and those of another one, without and with clients that come
and go meanwhile. Every worker asks: how fast one finds the Lua string of a peer is not the same in
all processes. A last row asks for all sessions of the table in turn, which the caches of the
machine do not hold.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import Any, Final

from bench import packets
from bench.crowd import crowd
from bench.idle import HELD
from bench.loader import behind, on_worker
from bench.outcome import Curve, Line, Outcome, Promise
from bench.packets import AnswerError
from bench.rounds import Plan, Progress
from bench.session import Endpoint, Session
from bench.stats import median, spread
from bench.suite.context import Context
from bench.table import Table
from bench.targets import TargetError

SIZES: Final = (100, 10_000, 60_000)
WORKERS: Final = 4
"""One process has descriptors for some 15,000 sessions."""
ASKED: Final = 20
"""Sessions that are asked for in turn; so many of each worker are there at the smallest size."""
TURNS: Final = 2_000_000
EXISTS: Final = 30.0
"""Nanoseconds an exists, at most."""
FLAT: Final = 0.1
"""How much it may differ between the sizes."""
CHURN: Final = 8
"""Clients at a time that come and go."""
OWN, OTHER, ALL, CHURNING = "own worker", "another worker", "all in turn", "another worker, churn"


@dataclass(frozen=True)
class Cost:
    """One function over one choice of sessions; nanoseconds of the worker's CPU a call."""

    function: str
    sessions: int
    which: str
    nanoseconds: float
    """The median of ``rounds``."""
    spread: float
    rounds: Sequence[float]
    """Of every round, what each worker found."""


@dataclass(frozen=True)
class Asker:
    """A session that asks, and the ids of each choice."""

    session: Session
    ids: Mapping[str, Sequence[int]]


@dataclass(frozen=True)
class Sessions:
    """A table of one size: its server, and who asks, one of each worker."""

    endpoint: Endpoint
    size: int
    askers: Sequence[Asker]


def run(context: Context) -> Outcome:
    """Servers with tables of all sizes, asked in turn."""
    turns = context.size(TURNS, 20_000)
    with ExitStack() as stack:
        tables = [
            _opened(size, context.progress, stack) for size in context.size(SIZES, (100, 500))
        ]
        context.progress("look-ups")
        found = _measure(tables, turns, context.plan())
    exists, peer = (
        [each for each in found if each.function == function and each.which != ALL]
        for function in ("exists", "peer")
    )
    slowest = max(each.nanoseconds for each in exists)
    return Outcome(
        [_table(found)],
        [
            Promise("exists in a compiled loop, slowest", EXISTS, slowest, "ns", at_least=False),
            _flat("exists", exists),
            _flat("peer", peer),
        ],
        [_curve("exists", found), _curve("peer", found)],
        {"lookup": [asdict(each) for each in found]},
        [f"{WORKERS} workers; {ASKED} sessions asked for again and again, at every size"],
    )


def _flat(function: str, costs: Sequence[Cost]) -> Promise:
    about = f"{function} against the number of sessions, difference"
    return Promise(about, FLAT * 100, 100 * difference(costs), "%", at_least=False)


def difference(costs: Sequence[Cost]) -> float:
    """The largest share that one kind of look-up differs by between the sizes.

    Sizes are compared round by round, and worker by worker: a machine that changes its speed from
    second to second does so for all sizes of a round.
    """
    most = 0.0
    for kind in dict.fromkeys(each.which for each in costs):
        rounds = zip(*(each.rounds for each in costs if each.which == kind), strict=True)
        shares = [[cost / costs_then[0] for cost in costs_then] for costs_then in rounds]
        by_size = [median(size) for size in zip(*shares, strict=True)]
        most = max(most, max(by_size) / min(by_size) - 1)
    return most


def _opened(size: int, progress: Progress, stack: ExitStack) -> Sessions:
    """A server with so many sessions."""
    try:
        there = stack.enter_context(crowd(WORKERS * HELD))
        there.grow(size, progress)
        askers = [_asker(there.endpoint, worker, stack) for worker in range(WORKERS)]
        first = askers[0].session
        every = [
            id_ for worker in range(WORKERS) for id_ in _call(first, "bench_ids", worker, size)
        ]
    except (OSError, AnswerError) as error:
        raise TargetError(f"{size} sessions: {error}") from error
    askers[0] = Asker(first, {**askers[0].ids, ALL: every})
    return Sessions(there.endpoint, size, askers)


def _asker(endpoint: Endpoint, worker: int, stack: ExitStack) -> Asker:
    session = on_worker(endpoint, worker, stack)
    own, other = (_call(session, "bench_ids", of, ASKED) for of in (worker, (worker + 1) % WORKERS))
    return Asker(session, {OWN: own, OTHER: other})


def _measure(tables: Sequence[Sessions], turns: int, plan: Plan) -> list[Cost]:
    found = []
    for function in ("exists", "peer"):
        for which in (OWN, OTHER, ALL):
            found += _costs(tables, function, which, which, turns, plan)
    with ExitStack() as stack:
        for table in tables:
            stack.enter_context(behind(table.endpoint, "churn", CHURN))
        found += _costs(tables, "exists", CHURNING, OTHER, turns, plan)
    return found


def _costs(
    tables: Sequence[Sessions], function: str, which: str, chosen: str, turns: int, plan: Plan
) -> list[Cost]:
    """One function over one choice of sessions of each table."""
    took: dict[int, list[float]] = {table.size: [] for table in tables}
    for _ in plan.turns():
        for table in tables:
            took[table.size] += [
                _cost(table, asker, function, asker.ids[chosen], turns)
                for asker in table.askers
                if chosen in asker.ids
            ]
    return [
        Cost(function, size, which, median(costs), spread(costs), costs)
        for size, costs in took.items()
    ]


def _cost(table: Sessions, asker: Asker, function: str, ids: Sequence[int], turns: int) -> float:
    """Nanoseconds a call."""
    try:
        cost, existing = _ask(asker.session, "bench_lookup", function, ids, turns)
    except (OSError, AnswerError) as error:
        raise TargetError(f"look-ups among {table.size} sessions: {error}") from error
    if existing != turns:
        raise TargetError(f"{turns - existing} of {turns} look-ups found nobody")
    return float(cost)


def _call(asker: Session, function: str, *arguments: Any) -> list[int]:
    (answer,) = _ask(asker, function, *arguments)
    return list(answer)


def _ask(asker: Session, function: str, *arguments: Any) -> Any:
    body = {packets.KEY_FUNCTION: function, packets.KEY_TUPLE: list(arguments)}
    answer = asker.exchange(packets.request(packets.TYPE_CALL, 1, body), 1)
    return packets.decode(answer).data()


def _table(found: Sequence[Cost]) -> Table:
    rows = [
        (
            each.function,
            each.which,
            f"{each.sessions:,}",
            f"{each.nanoseconds:.1f}",
            f"{each.spread:.0%}",
        )
        for each in sorted(found, key=lambda each: (each.function, each.which, each.sessions))
    ]
    columns = ("function", "of", "sessions", "CPU ns a call", "spread")
    return Table("Look-ups from inside Lua (medians)", columns, tuple(rows))


def _curve(function: str, found: Sequence[Cost]) -> Curve:
    kinds = dict.fromkeys(each.which for each in found if each.function == function)
    lines = [
        Line(
            which,
            tuple(
                (each.sessions, each.nanoseconds)
                for each in found
                if each.which == which and each.function == function
            ),
        )
        for which in kinds
    ]
    return Curve(f"box.session.{function} from inside Lua", "sessions", "ns a call", tuple(lines))
