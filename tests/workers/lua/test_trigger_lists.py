"""Lists of triggers while workers run several loadings of the application."""

from __future__ import annotations

import pytest

from shm.segment import Segment
from tests.workers.lua.triggers_worker import Worker

APP = "trigger.begin_loading() trigger.set('e', f'{0}', 'same') trigger.set('e', f'only{0}') "
END = "trigger.end_loading()"


@pytest.fixture
def both(segment: Segment) -> tuple[Worker, Worker]:
    """A worker of the first loading, and one of the second, which sets a function more."""
    segment.rows[1].generation = 1
    one, two = Worker(segment, 0), Worker(segment, 1)
    one.run(APP.replace("{0}", "one") + END)
    two.run(APP.replace("{0}", "two") + "trigger.set('e', f'new', 'new')" + END)
    return one, two


def test_each_runs_its_own(both: tuple[Worker, Worker]) -> None:
    one, two = both
    assert one.ran() == ["onlyone", "one"]
    assert two.ran() == ["new", "onlytwo", "two"]
    assert one.run("return trigger.count('e')") == 2
    assert one.logged == two.logged == []


def test_what_is_set_at_run_time_is_in_both(both: tuple[Worker, Worker]) -> None:
    one, two = both
    one.run("trigger.set('e', f'late')")
    assert (one.ran(), two.ran()) == (["late", "onlyone", "one"], ["late", "new", "onlytwo", "two"])
    two.run("trigger.set('e', f'instead', 'same')")
    assert one.ran() == ["late", "onlyone", "instead"] or one.ran() == [
        "late",
        "instead",
        "onlyone",
    ]
    assert two.ran() == ["late", "new", "onlytwo", "instead"]


def test_what_one_deletes_is_gone_in_both(both: tuple[Worker, Worker]) -> None:
    one, two = both
    two.run("trigger.delete_named('e', 'same')")
    assert (one.ran(), two.ran()) == (["onlyone"], ["new", "onlytwo"])
    one.run("trigger.delete('e', f'onlyone')")
    assert (one.ran(), two.ran()) == ([], ["new"])
    one.run("trigger.delete_named('e', 'new')")
    assert two.ran() == ["new"], "the old application does not have it"


def test_a_name_set_at_run_time_stays_with_a_new_loading(segment: Segment) -> None:
    one = Worker(segment, 0)
    one.run(APP.replace("{0}", "one") + END + " trigger.set('e', f'late', 'same')")
    segment.rows[1].generation = 1
    two = Worker(segment, 1)
    two.run(APP.replace("{0}", "two") + END)
    assert two.ran() == ["late", "onlytwo"]


def test_entries_of_workers_that_are_gone_go(segment: Segment) -> None:
    for generation in range(1, 50):
        segment.rows[1].generation = generation
        worker = Worker(segment, 1)
        worker.run(APP.replace("{0}", "x" * 20) + END)
        assert worker.ran() == ["only" + "x" * 20, "x" * 20]
    kept = worker.run(
        "local book = require('beespace.engine.trigger_book').read() "
        "local apps = 0 for _ in pairs(book.apps) do apps = apps + 1 end "
        "return #book.events.e .. ' ' .. apps"
    )
    assert kept == "2 1"
