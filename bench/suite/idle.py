"""Memory of sessions that do nothing, against their number."""

from __future__ import annotations

from typing import Final

from bench import idle, report
from bench.outcome import Curve, Line, Outcome, Promise
from bench.suite.context import OWN, Context

SIZES: Final = (1000, 5000, 15000)
LARGE: Final = 45_000
"""Of this checkout's server, with a worker for each 15,000; the promise is about 15,000."""


def run(context: Context) -> Outcome:
    """Each size on servers that are new, so that no size profits of another one."""
    wanted = [
        (context.kind(name), size)
        for size in context.size(SIZES, (1000,))
        for name in context.started
    ]
    if not context.smoke:
        wanted.append((context.kind(f"{OWN}:{LARGE // idle.HELD}"), LARGE))
    found = idle.measure(wanted, context.plan(), context.progress)
    own = [each for each in found if each.target == context.subject and each.sessions < LARGE][-1]
    lines = [
        Line(
            name,
            tuple(
                (each.sessions, each.after - each.before) for each in found if each.target == name
            ),
        )
        for name in dict.fromkeys(each.target for each in found)
    ]
    rows = [
        {
            "target": each.target,
            "sessions": each.sessions,
            "bytes": each.per_session,
            "spread": each.spread,
            "rounds": each.rounds,
        }
        for each in found
    ]
    about = f"memory of {own.sessions:,} idle sessions, each"
    return Outcome(
        [report.idle(found, idle.LIMIT_BYTES)],
        [Promise(about, idle.LIMIT_BYTES, own.per_session, "bytes", at_least=False)],
        [Curve("memory of idle sessions", "sessions", "bytes", tuple(lines))],
        {"idle": rows},
    )
