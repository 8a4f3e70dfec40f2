"""A visit leaves records, whatever happens in it."""

from __future__ import annotations

import threading
from random import Random

from tests.soak import menu, visits
from tests.soak.guest import GoneError, Host
from tests.soak.record import Record
from tests.soak.visits import Purpose, Visit


def paid(what: Purpose) -> Record:
    host = Host("brief", ("127.0.0.1", 1), "/nowhere")
    menu.pay(what, Visit(host, Random(1), threading.Event(), True, "here"))
    (record,) = host.records
    return record


def test_nobody_is_there() -> None:
    record = paid(visits.brief)
    assert not record.connected
    assert record.failed == ["connecting: [Errno 111] Connection refused"]


def test_an_answer_that_makes_no_sense() -> None:
    def what(visit: Visit) -> None:
        visit.host.records.append(Record("brief"))
        int("no number")

    assert paid(what).failed == ["ValueError: invalid literal for int() with base 10: 'no number'"]


def test_a_visit_that_is_over() -> None:
    def what(visit: Visit) -> None:
        visit.host.records.append(Record("brief", cut="greeting"))
        raise GoneError("greeting")

    assert paid(what).failed == []
