"""What must hold at the end, each with what was expected and what was found; pure.

Rounds in which nothing is done to the server (calm) have to agree exactly. In the storm, bounds
are as narrow as what cannot be known allows:

* A connection may be lost with an acceptor that is killed, so there are as many sessions as
  connections, less at most those that were cut before they were greeted.
* A worker counts requests before it answers them: what a client has an answer to is counted, and
  nobody knows how far a killed worker came with the rest.
* An on_disconnect that had begun in a killed worker may not have come to its first line.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from tests.soak import gauges, logbook
from tests.soak.figures import Figures
from tests.soak.gauges import MIB, Gauge
from tests.soak.journal import Journal
from tests.soak.ledger import Ledger, unexcused
from tests.soak.record import Record

SHOWN: Final = 5


@dataclass(frozen=True)
class Finding:
    """One invariant."""

    name: str
    expected: str
    found: str
    holds: bool
    details: Sequence[str] = ()
    """More about what was found, when it does not hold."""


@dataclass(frozen=True)
class Round:
    """What one round left behind."""

    name: str
    calm: bool
    records: Sequence[Record]
    figures: Figures
    """What came on top in this round."""
    journal: Journal
    """What is new of this round."""
    left: int
    """Sessions in the table after everybody had left."""
    shown: int
    """Sessions that ``beespace status`` tells of then."""
    loads: dict[int, int]
    """By row, what the acceptor believes a worker to hold then, where that is not 0."""
    gauges: Sequence[Gauge]


@dataclass(frozen=True)
class Bounds:
    """How much processes may grow."""

    fds: int = 2
    """Descriptors, from the first round to the last: some are opened when they are needed first."""
    memory: Mapping[str, int] = field(
        default_factory=lambda: {
            "supervisor": 6 * MIB,
            "acceptor": 2 * MIB,
            "metrics": 4 * MIB,
            "tracker": MIB,
            "worker": 12 * MIB,
        }
    )
    """Bytes, from the first round to the last, by role. A worker's heap and machine code are as
    large as the largest load they had; the others hold nothing for long, but reloading settings and
    starting processes leaves holes in the supervisor's."""
    late_fds: int = 0
    """Descriptors of one process in the last round: it has had the same load before."""
    late_memory: int = 6 * MIB
    """Bytes of one process in the last round: what is garbage at one moment and not at another."""


@dataclass(frozen=True)
class Facts:
    """A whole run."""

    rounds: Sequence[Round]
    ledger: Ledger
    drain_timeout: float
    log: Sequence[str]
    end: str
    """What was wrong when the server was stopped, empty when nothing was."""
    complaints: Sequence[str] = ()
    """Of :mod:`tests.soak.observer`."""
    probed: Sequence[Finding] = ()
    """What :mod:`tests.soak.probes` found before that."""
    bounds: Bounds = field(default_factory=Bounds)


def check(facts: Facts) -> list[Finding]:
    """All invariants."""
    found: list[Finding] = []
    for each in facts.rounds:
        found += _of_any(each, facts)
        found += _of_calm(each) if each.calm else _of_storm(each, facts)
    found += _of_processes(facts)
    found += _of_log(facts)
    found.append(_none("status and metrics in the storm", facts.complaints))
    found += facts.probed
    found.append(equal("nothing left after stop", "", facts.end))
    return found


def _of_any(each: Round, facts: Facts) -> list[Finding]:
    wrong = unexcused(each.records, facts.ledger, facts.drain_timeout)
    return [
        equal(f"{each.name}: sessions in the table at the end", 0, each.left),
        equal(f"{each.name}: sessions in status at the end", 0, each.shown),
        equal(f"{each.name}: workers' loads at the end", {}, each.loads),
        equal(f"{each.name}: on_connect or on_disconnect ran twice", [], each.journal.repeated()),
        _none(f"{each.name}: failures without a fault", map(_described, wrong)),
        equal(f"{each.name}: connections refused", 0, each.figures.refused),
    ]


def _of_calm(each: Round) -> list[Finding]:
    records, journal, figures = each.records, each.journal, each.figures
    connected = sum(record.connected for record in records)
    given = +Counter({name: times for name, times in figures.ended.items() if times})
    return [
        equal(f"{each.name}: sessions = connections", connected, figures.sessions),
        equal(f"{each.name}: on_connect = connections", connected, len(journal.connects)),
        equal(f"{each.name}: on_disconnect without on_connect", [], journal.not_begun()),
        equal(f"{each.name}: on_connect without on_disconnect", [], journal.not_ended()),
        equal(f"{each.name}: reasons of ends", dict(journal.reasons()), dict(given)),
        equal(f"{each.name}: history = connections", connected, figures.buried),
        equal(f"{each.name}: requests = answers", _answered(records), figures.requests),
        equal(f"{each.name}: errors", sum(one.refused for one in records), figures.errors),
    ]


def _of_storm(each: Round, facts: Facts) -> list[Finding]:
    records, journal, figures = each.records, each.journal, each.figures
    connected = sum(record.connected for record in records)
    unmet = sum(bool(record.cut) and not record.greeted for record in records)
    greeted = sum(record.greeted for record in records)
    sent = sum(record.sent for record in records)
    doubt = set(journal.not_ended()) - facts.ledger.in_doubt
    most = facts.ledger.lost_in_doubt + logbook.given_up(facts.log)
    return [
        within(
            f"{each.name}: sessions = connections", connected - unmet, figures.sessions, connected
        ),
        within(f"{each.name}: on_connect", greeted, len(journal.connects), figures.sessions),
        equal(f"{each.name}: on_disconnect without on_connect", [], journal.not_begun()),
        within(
            f"{each.name}: on_connect without on_disconnect", 0, len(doubt), most, sorted(doubt)
        ),
        within(
            f"{each.name}: requests = answers",
            _answered(records),
            figures.requests,
            sent,
        ),
    ]


def _of_processes(facts: Facts) -> list[Finding]:
    """Growth since the first round, by role, and in the last one; nobody is left over."""
    found: list[Finding] = []
    first, middle, last = (each.gauges for each in (facts.rounds[0], *facts.rounds[-2:]))
    roles = gauges.by_role(first), gauges.by_role(last)
    for role in sorted(roles[0].keys() | roles[1].keys()):
        before, after = (each.get(role, []) for each in roles)
        found.append(equal(f"{role}: processes", len(before), len(after)))
        if before and after:
            found += _growth(role, before, after, facts.bounds)
    known = {gauge.pid: gauge for gauge in middle}
    more = [(known[gauge.pid], gauge) for gauge in last if gauge.pid in known]
    if not (facts.rounds[-2].calm and facts.rounds[-1].calm):
        return found
    fds = max(after.fds - before.fds for before, after in more)
    memory = max(after.memory - before.memory for before, after in more)
    return [
        *found,
        _most("one process in the last round: descriptors", fds, facts.bounds.late_fds),
        _most_mib("one process in the last round: MiB", memory, facts.bounds.late_memory),
    ]


def _growth(
    role: str, before: Sequence[Gauge], after: Sequence[Gauge], bounds: Bounds
) -> list[Finding]:
    fds = max(each.fds for each in after) - max(each.fds for each in before)
    memory = max(each.memory for each in after) - max(each.memory for each in before)
    return [
        _most(f"{role}: more descriptors", fds, bounds.fds),
        _most_mib(f"{role}: more memory, MiB", memory, bounds.memory.get(role, 2 * MIB)),
    ]


def _of_log(facts: Facts) -> list[Finding]:
    done = facts.ledger.done
    ends = logbook.ends(facts.log)
    hung = sum(" E> a worker hangs: killed " in line for line in facts.log)
    hangs = done["freeze_worker"] + done["stuck"] + done["endless"]
    expected = ("killed by signal 9", "exit code 0", "exit code 3", "exit code 4")
    other = [f"{who}: {why}" for who, why in ends if why not in expected]
    return [
        equal("workers that ended by themselves", [], facts.ledger.deaths),
        within("workers that hang", 0, hung, hangs),
        equal("other ends of processes", [], other),
        _none("errors in the log without a fault", logbook.surprises(facts.log)),
    ]


def _answered(records: Iterable[Record]) -> int:
    return sum(record.answered for record in records)


def _described(record: Record) -> str:
    what = record.cut or "; ".join(record.failed)
    return (
        f"{record.kind} session {record.session} process {record.pid} {record.peer} "
        f"from {record.began:.3f} to {record.ended:.3f}: {what}"
    )


def equal(name: str, expected: object, found: object) -> Finding:
    """Found has to be what was expected."""
    return Finding(name, _shown(expected), _shown(found), expected == found)


def within(name: str, least: int, found: int, most: int, details: Iterable[object] = ()) -> Finding:
    """Found has to be between two bounds."""
    text = str(most) if least == most else f"{least} to {most}"
    return Finding(name, text, str(found), least <= found <= most, tuple(map(str, details)))


def _most(name: str, found: int, most: int) -> Finding:
    return Finding(name, f"<= {most}", str(found), found <= most)


def _most_mib(name: str, found: int, most: int) -> Finding:
    return Finding(name, f"<= {most / MIB:.1f}", f"{found / MIB:.1f}", found <= most)


def _none(name: str, found: Iterable[str]) -> Finding:
    all_ = list(found)
    return Finding(name, "0", str(len(all_)), not all_, all_)


def _shown(value: object) -> str:
    if isinstance(value, list):
        more = f", {len(value) - SHOWN} more" if len(value) > SHOWN else ""
        return "none" if not value else f"{', '.join(map(str, value[:SHOWN]))}{more}"
    if isinstance(value, dict):
        return ", ".join(f"{key}: {value[key]}" for key in sorted(value)) or "none"
    return str(value) or "nothing"


def table(findings: Sequence[Finding]) -> str:
    """The findings as text: a line each, and details below those that do not hold."""
    width = max(len(each.name) for each in findings)
    lines = [f"   {'invariant':{width}}  {'expected':>24}  found"]
    for each in findings:
        mark = "ok" if each.holds else "NO"
        lines.append(f"{mark} {each.name:{width}}  {each.expected:>24}  {each.found}")
        if not each.holds:
            lines += [f"     {line}" for line in each.details[:50]]
    return "\n".join(lines)
