"""Requests that run for long without waiting, seen from beside the loop."""

from __future__ import annotations

import ctypes
import math
import secrets
from collections.abc import Iterator

import pytest

from shm.running import STATEMENTS, Pulse, Sight, Statement
from shm.segment import Segment
from tests.helpers.raw import CALL, request
from workers.slow import LONGEST, PLACES, SHORTEST, Box, Places, Slow

LIMIT = 0.5
SESSION = 5
CALLS = request({0: CALL, 1: 1}, {0x22: "spin", 0x21: []})


class Worker:
    """What a worker has in its memory, and who looks at it."""

    def __init__(self, segment: Segment) -> None:
        self.pulse = Pulse()
        self.session = ctypes.c_double(SESSION)
        self.input = ctypes.create_string_buffer(CALLS * 4, 1024)
        self.statements = (Statement * STATEMENTS)()
        self.box = Box()
        self.woke, self.mark = ctypes.c_double(), ctypes.c_double()
        slot = segment.slots[SESSION]
        slot.uid, slot.peer, slot.peer_len = 7, b"10.0.0.1:55", 11
        slot.id = SESSION
        at = ctypes.addressof
        sight = Sight(at(self.pulse), at(self.session), at(self.input), at(self.statements))
        places = Places(at(self.box), at(self.woke), at(self.mark))
        self.slow = Slow(segment, sight, places, LIMIT)

    def request(self, number: int, *, batch: int = 1) -> None:
        """The request of this number in a batch of four runs."""
        self.pulse.batch, self.pulse.i = batch, number * len(CALLS)
        self.pulse.have, self.pulse.in_request = 4 * len(CALLS), 1

    def rest(self) -> None:
        """Nothing runs."""
        self.pulse.i = self.pulse.have = self.pulse.in_request = self.pulse.away = 0

    def look(self, *times: float) -> None:
        for now in times:
            self.slow.look(now)

    def found(self) -> list[tuple[float, str]]:
        """Seconds and words of what was put into the box."""
        items = [self.box.items[number] for number in range(self.box.put)]
        return [(round(item.seconds, 3), item.request.decode()) for item in items]


@pytest.fixture
def worker() -> Iterator[Worker]:
    segment = Segment.create(f"beespace-test-{secrets.token_hex(6)}", 8, 1)
    try:
        yield Worker(segment)
    finally:
        segment.close()


def test_a_request_that_was_there_for_the_limit_is_found(worker: Worker) -> None:
    worker.woke.value = 10.0
    worker.look(9.99)
    worker.request(1)
    worker.look(10.04, 10.2, 10.3, 10.55)
    assert worker.found() == []
    worker.mark.value = 10.57
    worker.rest()
    worker.look(10.6)
    assert worker.found() == [(0.57, "call spin")]
    item = worker.box.items[0]
    assert (item.session, item.uid, item.peer) == (SESSION, 7, b"10.0.0.1:55")
    assert (item.batch, item.i) == (1, len(CALLS))


def test_one_that_is_faster_is_not(worker: Worker) -> None:
    worker.woke.value = 10.0
    worker.request(1)
    worker.look(10.01, 10.2, 10.4)
    worker.mark.value = 10.42
    worker.rest()
    worker.look(10.6)
    assert worker.found() == []


def test_requests_of_one_batch_are_told_apart(worker: Worker) -> None:
    worker.woke.value = 10.0
    for number in (1, 2, 3):
        worker.request(number)
        begun = 10 + 0.3 * number
        worker.look(begun, begun + 0.1, begun + 0.25)
    worker.rest()
    worker.look(11.2)
    assert worker.found() == []


def test_it_begins_no_earlier_than_it_can_have(worker: Worker) -> None:
    """It was not there at the last look, nor before what the loop has ended since."""
    worker.look(9.0)
    worker.woke.value = 8.0
    worker.mark.value = 9.2
    worker.request(1)
    worker.look(9.5, 9.6, 9.75)
    worker.rest()
    worker.mark.value = 9.8
    worker.look(9.9)
    assert worker.found() == [(0.6, "call spin")]


def test_its_end_is_now_while_its_batch_goes_on(worker: Worker) -> None:
    worker.woke.value = 10.0
    worker.request(1)
    worker.look(10.0, 10.3, 10.9)
    worker.request(2)
    worker.look(11.0)
    assert worker.found() == [(1.0, "call spin")]


def test_fibers_that_it_makes_are_a_part_of_it(worker: Worker) -> None:
    worker.woke.value = 10.0
    worker.request(1)
    worker.look(10.0, 10.3)
    worker.pulse.switches, worker.pulse.away, worker.pulse.in_request = 3, 1, 0
    worker.look(10.4, 10.6)
    worker.rest()
    worker.look(10.7)
    assert worker.found() == [(0.7, "call spin")]


def test_a_request_of_which_only_fibers_were_seen(worker: Worker) -> None:
    worker.woke.value = 10.0
    worker.request(1)
    worker.pulse.away, worker.pulse.in_request = 1, 0
    worker.look(10.0, 10.3, 10.6)
    worker.rest()
    worker.look(10.7)
    assert worker.found() == [(0.7, "unknown")]


def test_fibers_between_batches_are_no_requests(worker: Worker) -> None:
    worker.pulse.away = 1
    worker.look(10.0, 10.3, 10.6)
    worker.rest()
    worker.look(10.7)
    assert worker.found() == []


def test_a_session_that_is_gone_has_no_name(worker: Worker) -> None:
    worker.session.value = SESSION + 8
    worker.woke.value = 10.0
    worker.request(1)
    worker.look(10.0, 10.3, 10.6)
    worker.rest()
    worker.look(10.7)
    assert worker.found() == [(0.7, "unknown")]


def test_a_full_box_is_counted(worker: Worker) -> None:
    for number in range(PLACES + 3):
        worker.woke.value = number
        worker.request(1, batch=number)
        worker.look(number, number + 0.3)
        worker.rest()
        worker.look(number + 0.9)
    assert (worker.box.put, worker.box.missed) == (PLACES, 3)
    worker.box.taken = 1
    worker.request(1, batch=100)
    worker.look(200.0, 200.3)
    worker.rest()
    worker.look(200.9)
    assert (worker.box.put, worker.box.missed) == (PLACES + 1, 3)
    assert worker.box.items[0].batch == 100


def test_long_words_are_cut(worker: Worker) -> None:
    source = request({0: 8, 1: 1}, {0x27: "ü" * 200, 0x21: []})
    ctypes.memmove(worker.input, source, len(source))
    worker.woke.value = 10.0
    worker.pulse.batch, worker.pulse.i, worker.pulse.have = 1, len(source), len(source)
    worker.pulse.in_request = 1
    worker.look(10.0, 10.3)
    worker.rest()
    worker.look(10.7)
    words = worker.box.items[0].request
    assert words.startswith("eval üüü".encode())
    assert len(words) == 99


@pytest.mark.parametrize(
    ("limit", "pause"),
    [(0.5, 0.05), (0.01, SHORTEST), (60, LONGEST), (0, math.inf)],
)
def test_the_pause_between_two_looks(worker: Worker, limit: float, pause: float) -> None:
    worker.slow.limit = limit
    assert worker.slow.pause == pause


def test_without_a_limit_nothing_is_looked_at(worker: Worker) -> None:
    worker.request(1)
    worker.look(10.0, 10.3)
    worker.slow.limit = 0
    worker.look(11.0)
    worker.slow.limit = LIMIT
    worker.rest()
    worker.look(12.0)
    assert worker.found() == []
