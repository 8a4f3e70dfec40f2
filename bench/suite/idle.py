"""Memory of sessions that do nothing, against their number."""

from __future__ import annotations

from typing import Final

from bench import idle, report
from bench.bars import Role
from bench.outcome import Curve, Line, Outcome, Promise
from bench.suite.context import OWN, Context

SIZES: Final = (1000, 5000, 15000)
LARGE: Final = 45_000
"""Of this checkout's server, with a worker for each 15,000; the promise is about 15,000."""


def run(context: Context) -> Outcome:
    """Each size on a server that is new, so that no size profits of another one."""
    sizes = context.size(SIZES, (1000,))
    found: dict[str, list[idle.IdleFigure]] = {name: [] for name in context.names}
    for size in sizes:
        for name in context.names:
            context.progress(f"{size} sessions: {name}")
            role = Role.SUBJECT if name == context.subject else Role.REFERENCE
            found[name].append(idle.measure(context.kind(name), role, size))
    own = found[context.subject][-1]
    if not context.smoke and context.is_own:
        context.progress(f"{LARGE} sessions")
        name = f"{OWN}:{LARGE // idle.HELD}"
        found[name] = [idle.measure(context.kind(name), Role.SUBJECT, LARGE)]
    lines = [
        Line(name, tuple((each.sessions, float(each.after - each.before)) for each in figures))
        for name, figures in found.items()
    ]
    everything = [each for figures in found.values() for each in figures]
    rows = [
        {"target": e.target, "sessions": e.sessions, "bytes": e.per_session} for e in everything
    ]
    about = f"memory of {own.sessions:,} idle sessions, each"
    return Outcome(
        [report.idle(everything, idle.LIMIT_BYTES)],
        [Promise(about, idle.LIMIT_BYTES, own.per_session, "bytes", at_least=False)],
        [Curve("memory of idle sessions", "sessions", "bytes", tuple(lines))],
        {"idle": rows},
    )
