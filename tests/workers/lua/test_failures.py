"""Failed logins, counted exactly for all workers: delays, room, names that mean harm."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest

from shm import layout
from shm.segment import Segment
from tests.rules.sources import ROOT
from tests.workers.lua.failures_process import attached

RIGHT, WRONG, REFUSED = 1, 2, 3
HERE = "10.0.0.1"
QUARTER = layout.FAILURES // 4


def plain(value: Any) -> Any:
    """Text for the bytes of Lua."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


# A clock that stands still, and what moves it.
CLOCK = """
local sys = require('beespace.engine.sys')
local now = sys.clock(sys.CLOCK_MONOTONIC)
sys.clock = function() return now end
return function(seconds) now = now + seconds end
"""


class Failures:
    """engine/failures as one worker has it."""

    def __init__(self, segment: Segment) -> None:
        self.runtime, self.api = attached(segment)

    def stop_the_clock(self) -> Callable[[float], None]:
        """Let time pass only when what this returns is called."""
        move = self.runtime.execute(CLOCK)
        return lambda seconds: self.runtime.call(move, seconds)

    def set(self, delay: float, retries: int) -> None:
        self.api[b"delay"], self.api[b"retries"] = delay, retries

    def call(self, name: str, *arguments: Any) -> Any:
        return self.runtime.call(self.api[name.encode()], *arguments)

    def attempt(
        self,
        user: str,
        address: str = HERE,
        *,
        right: bool = False,
        known: bool = True,
        **more: Any,
    ) -> int:
        found = self.call("attempt", user.encode(), known, address.encode(), right, *more.values())
        return int(found[0] if isinstance(found, tuple) else found)

    def rows(self) -> list[dict[str, Any]]:
        found = self.call("list")
        return [
            {
                key.decode(): value.decode("utf-8", "replace")
                if isinstance(value, bytes)
                else value
                for key, value in found[index].items()
            }
            for index in range(1, len(found) + 1)
        ]

    def row(self, **wanted: Any) -> dict[str, Any]:
        (row,) = [row for row in self.rows() if wanted.items() <= row.items()]
        return row


@pytest.fixture
def failures(segment: Segment) -> Failures:
    return Failures(segment)


def test_failures_are_counted_by_user_and_by_address(failures: Failures) -> None:
    before = time.time()
    assert [failures.attempt("bob"), failures.attempt("bob", "10.0.0.2")] == [WRONG, WRONG]
    assert failures.attempt("eve", known=False) == WRONG

    bob = failures.row(user="bob")
    assert (bob["known"], bob["count"], bob["consecutive"], bob["refused"]) == (True, 2, 2, 0)
    assert before <= bob["last"] <= time.time()
    assert "delayed" not in bob
    assert failures.row(user="eve")["known"] is False
    assert failures.row(peer=HERE)["count"] == 2
    assert failures.row(peer="10.0.0.2")["count"] == 1


def test_the_newest_is_first(failures: Failures) -> None:
    for user, address in [("a", "1"), ("b", "2"), ("a", "3")]:
        failures.attempt(user, address)
    rows = failures.rows()

    assert [row["last"] for row in rows] == sorted((row["last"] for row in rows), reverse=True)
    assert {rows[0].get("user", "a"), rows[0].get("peer", "3")} == {"a", "3"}


def test_a_success_forgets_but_the_count(failures: Failures) -> None:
    failures.attempt("bob")
    assert failures.attempt("bob", right=True) == RIGHT

    assert (failures.row(user="bob")["count"], failures.row(user="bob")["consecutive"]) == (1, 0)
    assert failures.row(peer=HERE)["consecutive"] == 0


def test_a_success_that_anybody_could_have_says_nothing_of_the_address(failures: Failures) -> None:
    failures.attempt("guest")
    assert failures.attempt("guest", right=True, spare_address=True) == RIGHT

    assert failures.row(user="guest")["consecutive"] == 0
    assert failures.row(peer=HERE)["consecutive"] == 1


def test_without_a_delay_nothing_is_refused(failures: Failures) -> None:
    assert {failures.attempt("bob") for _ in range(100)} == {WRONG}
    assert failures.row(user="bob")["count"] == 100


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("retries", [0, 2])
def test_the_delay_comes_after_the_retries(failures: Failures, known: bool, retries: int) -> None:
    let_pass = failures.stop_the_clock()
    failures.set(0.5, retries)
    addresses = iter(f"10.0.1.{number}" for number in range(100))

    for _ in range(1 + retries):
        assert failures.attempt("bob", next(addresses), known=known) == WRONG
    let_pass(0.49)
    assert failures.attempt("bob", next(addresses), known=known) == REFUSED
    assert failures.attempt("bob", next(addresses), known=known, right=True) == REFUSED
    row = failures.row(user="bob")
    assert (row["count"], row["refused"]) == (1 + retries, 2)
    assert row["delayed"] == pytest.approx(0.01)
    let_pass(0.02)
    assert failures.attempt("bob", next(addresses), known=known) == WRONG


def test_the_delay_counts_from_the_first_failure(failures: Failures) -> None:
    let_pass = failures.stop_the_clock()
    failures.set(0.4, 1)
    assert failures.attempt("bob", "1") == WRONG
    let_pass(0.25)
    assert failures.attempt("bob", "2") == WRONG
    assert failures.attempt("bob", "3") == REFUSED
    let_pass(0.2)
    assert failures.attempt("bob", "4", right=True) == RIGHT


def test_an_address_is_delayed_for_all_names(failures: Failures) -> None:
    failures.set(5, 1)
    assert [failures.attempt(user) for user in ("a", "b", "c")] == [WRONG, WRONG, REFUSED]
    assert failures.attempt("d", right=True) == REFUSED
    assert failures.attempt("d", "10.0.0.2", right=True) == RIGHT


def test_a_success_ends_the_count_of_retries(failures: Failures) -> None:
    failures.set(5, 1)
    for _ in range(3):
        assert failures.attempt("bob") == WRONG
        assert failures.attempt("bob", right=True) == RIGHT


def test_made_up_names_push_no_user_out(failures: Failures) -> None:
    failures.attempt("bob", "10.0.0.2")
    for number in range(2 * QUARTER):
        failures.attempt(f"nobody-{number}", known=False)
    rows = failures.rows()

    assert failures.row(user="bob")["count"] == 1
    assert failures.row(peer=HERE)["count"] == 2 * QUARTER
    made_up = [row for row in rows if row.get("known") is False]
    assert QUARTER * 0.9 < len(made_up) <= QUARTER


def test_a_name_that_is_known_has_a_record_of_its_own(failures: Failures) -> None:
    failures.attempt("bob", known=False)
    failures.attempt("bob", known=True)

    assert sorted(row["known"] for row in failures.rows() if row.get("user") == "bob") == [0, 1]


def test_long_and_odd_names(failures: Failures) -> None:
    names = ["x" * 100 + "1", "x" * 100 + "2", "x" * 1_000_000, "", "a\0b", "a\nb", "ж" * 60]
    for name in names:
        assert failures.attempt(name, known=False) == WRONG
    texts = [row["user"] for row in failures.rows() if "user" in row]

    assert len(texts) == len(names)
    assert texts.count("x" * layout.FAILURE_TEXT_BYTES) == 3
    assert {"", "a\0b", "a\nb"} <= set(texts)


def test_reset(failures: Failures) -> None:
    failures.set(5, 0)
    failures.attempt("bob")
    assert failures.attempt("bob", right=True) == REFUSED
    assert failures.call("reset", b"bob") == 1
    assert failures.attempt("bob", right=True) == REFUSED
    assert failures.call("reset", HERE.encode()) == 1
    assert failures.attempt("bob", right=True) == RIGHT
    failures.attempt("bob")
    assert failures.call("reset") == 2
    assert failures.rows() == []


def start(segment: Segment, *words: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.workers.lua.failures_process", segment.name]
    return subprocess.Popen([*command, *map(str, words)], cwd=ROOT, stdin=-1, stdout=-1, text=True)


def results(processes: list[subprocess.Popen[str]]) -> tuple[int, int]:
    """Attempts that were found wrong and that were refused, of processes that begin at once."""
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        outputs = [process.communicate(timeout=30)[0].split() for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    return sum(int(wrong) for wrong, _ in outputs), sum(int(refused) for _, refused in outputs)


def test_no_failure_of_many_processes_is_lost(segment: Segment, failures: Failures) -> None:
    assert results([start(segment, 2000, 0, 0, "bob") for _ in range(4)]) == (8000, 0)
    assert failures.row(user="bob")["count"] == 8000
    assert failures.row(peer=HERE)["consecutive"] == 8000


@pytest.mark.parametrize("retries", [0, 7])
def test_no_process_lets_one_attempt_more_pass(
    segment: Segment, failures: Failures, retries: int
) -> None:
    processes = [start(segment, 200, 60, retries, "bob") for _ in range(4)]

    assert results(processes) == (1 + retries, 800 - 1 - retries)
    row = failures.row(user="bob")
    assert (row["count"], row["refused"]) == (1 + retries, 800 - 1 - retries)


def test_a_process_killed_while_it_counts_stops_nobody(
    segment: Segment, failures: Failures
) -> None:
    for number in range(5):
        process = start(segment, 10_000_000, 0, 0, *(["bob"] if number % 2 else []))
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == "ready\n"
        process.stdin.write("go\n")
        process.stdin.flush()
        time.sleep(0.05)
        process.kill()
        process.communicate()
        assert failures.attempt("bob") == WRONG
    row = failures.row(user="bob")
    assert row["count"] >= 5
    assert abs(row["count"] - row["consecutive"]) <= 5
