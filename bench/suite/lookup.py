"""box.session.exists and peer from inside Lua, against the number of sessions.

As many sessions are asked for at every size, spread evenly over the table, those of the asking
worker and those of another one, without and with clients that come and go meanwhile. A last row
asks for all sessions of the table in turn, which the caches of the machine do not hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import Any, Final

from bench import packets
from bench.crowd import crowd
from bench.idle import HELD
from bench.loader import behind, on_worker
from bench.outcome import Curve, Line, Outcome, Promise
from bench.packets import AnswerError
from bench.rounds import Plan
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
    spread: float


def run(context: Context) -> Outcome:
    """The table grows from size to size."""
    plan, sizes = context.plan(), context.size(SIZES, (100, 500))
    turns = context.size(TURNS, 20_000)
    found: list[Cost] = []
    with crowd(WORKERS * HELD) as there:
        for size in sizes:
            there.grow(size, context.progress)
            try:
                found += _measure(there.endpoint, size, turns, plan)
            except (OSError, AnswerError) as error:
                raise TargetError(f"look-ups among {size} sessions: {error}") from error
    judged = [each for each in found if each.function == "exists" and each.which != ALL]
    slowest = max(each.nanoseconds for each in judged)
    return Outcome(
        [_table(found)],
        [
            Promise("exists in a compiled loop, slowest", EXISTS, slowest, "ns", at_least=False),
            Promise(
                "exists against the number of sessions, difference",
                FLAT * 100,
                100 * _difference(judged),
                "%",
                at_least=False,
            ),
        ],
        [_curve("exists", found), _curve("peer", found)],
        {"lookup": [asdict(each) for each in found]},
        [f"{WORKERS} workers; {ASKED} sessions asked for again and again, at every size"],
    )


def _difference(costs: Sequence[Cost]) -> float:
    """The largest share that one kind of look-up differs by between the sizes."""
    kinds = {each.which for each in costs if each.which != CHURNING}
    by_kind = [[each.nanoseconds for each in costs if each.which == kind] for kind in kinds]
    return max(max(values) / min(values) - 1 for values in by_kind)


def _measure(endpoint: Endpoint, size: int, turns: int, plan: Plan) -> list[Cost]:
    found = []
    with ExitStack() as stack:
        asker = on_worker(endpoint, 0, stack)
        # Its own id is the newest: all others of the table are below.
        ids = {OWN: _call(asker, "bench_ids", 0, ASKED), OTHER: _call(asker, "bench_ids", 1, ASKED)}
        ids[ALL] = [
            each for worker in range(WORKERS) for each in _call(asker, "bench_ids", worker, size)
        ]
        for function in ("exists", "peer"):
            for which, chosen in ids.items():
                found.append(_cost(asker, function, size, which, chosen, turns, plan))
        with behind(endpoint, "churn", CHURN):
            found.append(_cost(asker, "exists", size, CHURNING, ids[OTHER], turns, plan))
    return found


def _cost(
    asker: Session,
    function: str,
    size: int,
    which: str,
    ids: Sequence[int],
    turns: int,
    plan: Plan,
) -> Cost:
    took = []
    for _ in plan.turns():
        nanoseconds, existing = _ask(asker, "bench_lookup", function, ids, turns)
        if existing != turns:
            raise AnswerError(f"{turns - existing} of {turns} look-ups found nobody")
        took.append(nanoseconds)
    return Cost(function, size, which, median(took), spread(took))


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
