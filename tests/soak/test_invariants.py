"""Each invariant is broken in turn, and named; a run without trouble holds all of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from tests.soak import invariants, journal
from tests.soak.figures import Figures
from tests.soak.gauges import MIB, Gauge
from tests.soak.invariants import Facts, Finding, Round
from tests.soak.ledger import Ledger
from tests.soak.record import Record

WORKER, OTHER = 100, 200
RECORDS = [
    Record("brief", 1.0, 2.0, True, True, "127.0.0.1:1", 1, WORKER, sent=3, answered=3, refused=1),
    Record("brief", 1.0, 2.0, True, True, "127.0.0.1:2", 2, OTHER, sent=2, answered=2),
]
JOURNAL = journal.parse(
    [
        "connect 1 100 1.0 127.0.0.1:1",
        "connect 2 200 1.0 127.0.0.1:2",
        "disconnect 1 100 2.0 127.0.0.1:1 client",
        "disconnect 2 200 2.0 127.0.0.1:2 error",
    ]
)
FIGURES = Figures(2, 0, 5, 1, 2, Counter(client=1, error=1))
GAUGES = (
    Gauge(10, "supervisor", 70, 40 * MIB),
    Gauge(11, "acceptor", 20, 20 * MIB),
    Gauge(WORKER, "worker", 36, 30 * MIB),
    Gauge(OTHER, "worker", 36, 31 * MIB),
)
CALM = Round("calm", True, RECORDS, FIGURES, JOURNAL, 0, 0, {}, GAUGES)
STORM = replace(CALM, name="storm", calm=False)
FACTS = Facts([CALM, STORM, CALM, CALM], Ledger(), 3.0, [], "")


def broken(facts: Facts) -> list[Finding]:
    return [each for each in invariants.check(facts) if not each.holds]


def in_storm(**changes: Any) -> Facts:
    return replace(FACTS, rounds=[CALM, replace(STORM, **changes), CALM, CALM])


def in_calm(**changes: Any) -> Facts:
    return replace(FACTS, rounds=[replace(CALM, **changes), STORM, CALM, CALM])


def at_the_end(*gauges: Gauge) -> Facts:
    return replace(FACTS, rounds=[CALM, STORM, CALM, replace(CALM, gauges=gauges)])


def test_a_run_without_trouble() -> None:
    assert broken(FACTS) == []
    assert "NO" not in invariants.table(invariants.check(FACTS))


PROBED = invariants.equal("probe: limit", 240, 239)
FEWER = replace(FIGURES, requests=4)
CUT = replace(RECORDS[0], cut="waiting for 10", ended=2.0)
TWICE = replace(JOURNAL, connects=[*JOURNAL.connects, JOURNAL.connects[0]])
NOT_ENDED = replace(JOURNAL, disconnects=JOURNAL.disconnects[:1])
NOT_BEGUN = replace(JOURNAL, connects=JOURNAL.connects[:1])


@pytest.mark.parametrize(
    ("facts", "names"),
    [
        (in_calm(left=1), ["calm: sessions in the table at the end"]),
        (in_storm(shown=1), ["storm: sessions in status at the end"]),
        (in_storm(loads={3: -1}), ["storm: workers' loads at the end"]),
        (in_calm(figures=FEWER), ["calm: requests = answers"]),
        (in_calm(figures=replace(FIGURES, sessions=3)), ["calm: sessions = connections"]),
        (in_storm(figures=replace(FIGURES, sessions=3)), ["storm: sessions = connections"]),
        (in_storm(figures=FEWER), ["storm: requests = answers"]),
        (in_calm(figures=replace(FIGURES, errors=2)), ["calm: errors"]),
        (in_calm(figures=replace(FIGURES, buried=1)), ["calm: history = connections"]),
        (in_calm(figures=replace(FIGURES, ended=Counter(client=2))), ["calm: reasons of ends"]),
        (in_storm(figures=replace(FIGURES, refused=1)), ["storm: connections refused"]),
        (in_storm(records=[CUT, RECORDS[1]]), ["storm: failures without a fault"]),
        (in_storm(journal=NOT_ENDED), ["storm: on_connect without on_disconnect"]),
        (
            in_calm(journal=NOT_ENDED),
            ["calm: on_connect without on_disconnect", "calm: reasons of ends"],
        ),
        (
            in_storm(journal=NOT_BEGUN),
            ["storm: on_connect", "storm: on_disconnect without on_connect"],
        ),
        (replace(FACTS, end="exit code 1"), ["nothing left after stop"]),
        (replace(FACTS, ledger=Ledger(deaths=[7])), ["workers that ended by themselves"]),
        (replace(FACTS, log=["Traceback"]), ["errors in the log without a fault"]),
        (replace(FACTS, complaints=["late"]), ["status and metrics in the storm"]),
        (replace(FACTS, probed=[PROBED]), ["probe: limit"]),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_what_does_not_hold_is_named(facts: Facts, names: list[str]) -> None:
    assert [each.name for each in broken(facts)] == names


def test_a_trigger_that_ran_twice() -> None:
    names = [each.name for each in broken(in_storm(journal=TWICE))]
    assert names == ["storm: on_connect or on_disconnect ran twice", "storm: on_connect"]


def test_what_a_killed_worker_may_take_with_it() -> None:
    doubt = Ledger(in_doubt={2})
    doubt.strike(WORKER, 1.5, 0)
    facts = in_storm(journal=NOT_ENDED, records=[CUT, RECORDS[1]])
    assert broken(replace(facts, ledger=doubt)) == []


def test_growth() -> None:
    supervisor, acceptor, one, other = GAUGES
    grown = replace(supervisor, fds=80), acceptor, replace(one, memory=60 * MIB), other
    assert [each.name for each in broken(at_the_end(*grown))] == [
        "supervisor: more descriptors",
        "worker: more memory, MiB",
        "one process in the last round: descriptors",
        "one process in the last round: MiB",
    ]


def test_a_process_that_is_left_over() -> None:
    more = Gauge(300, "worker", 36, 30 * MIB)
    assert [each.name for each in broken(at_the_end(*GAUGES, more))] == ["worker: processes"]


def test_the_table_shows_details_of_what_does_not_hold() -> None:
    text = invariants.table(broken(in_storm(records=[CUT, RECORDS[1]])))
    assert text.splitlines()[1].startswith("NO storm: failures without a fault")
    assert "session 1 process 100 127.0.0.1:1 from 1.000 to 2.000: waiting for 10" in text
