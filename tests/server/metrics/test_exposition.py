"""Which text is asked for, and how often it is made."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as plain

from server.metrics.exposition import SHARE, Exposition, negotiated
from server.metrics.families import Families, by

PLAIN = "text/plain; version=0.0.4; charset=utf-8"
OPEN = "application/openmetrics-text; version=1.0.0; charset=utf-8"
PROMETHEUS_2 = (
    "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1"
    ";q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
    "application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;"
    "escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1"
)


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("", PLAIN),
        ("*/*", PLAIN),
        ("text/html,application/xhtml+xml,*/*;q=0.8", PLAIN),
        ("text/plain", PLAIN),
        ("application/json", PLAIN),
        (PROMETHEUS_2, OPEN),
        (PROMETHEUS_3, OPEN),
        ("application/openmetrics-text", OPEN),
        ("Application/OpenMetrics-Text; Version=1.0.0", OPEN),
        ('application/openmetrics-text; version="1.0.0"', OPEN),
        ("application/openmetrics-text; version=2.0.0", PLAIN),
        ("application/openmetrics-text; version=1.0.0\r\nX: y", PLAIN),
        ("application/openmetrics-text;q=0.2,text/plain;q=0.7", PLAIN),
        ("application/openmetrics-text;q=0.7,text/plain;q=0.2", OPEN),
        ("application/openmetrics-text;q=0", PLAIN),
        ("application/openmetrics-text;q=nan", PLAIN),
        ("application/openmetrics-text;q=much", OPEN),
        (";;;=,,,", PLAIN),
    ],
)
def test_negotiation(accept: str, kind: str) -> None:
    assert negotiated(accept) == kind


class Machine:
    """Clocks that a test moves, and families that cost CPU."""

    def __init__(self, cost: float) -> None:
        self.now = 100.0
        self.cpu = 0.0
        self.cost = cost
        self.made = 0
        self.exposition = Exposition(self.collect, lambda: self.now, lambda: self.cpu)

    def collect(self) -> Iterator[Metric]:
        self.made += 1
        self.cpu += self.cost
        made = Families("hive")
        yield made.counter("bee_flights_total", "Flights.", by("to", {'ro"se\\\n': self.made}))
        yield made.gauge("bee_weight_grams", "Weight.", 0.1)


def test_both_texts_say_the_same() -> None:
    machine = Machine(0.0)
    kind, text = machine.exposition.text("")
    assert kind == PLAIN
    assert text.decode().startswith("# HELP bee_flights_total Flights.\n")
    labels = {"to": 'ro"se\\\n', "alias": "hive"}
    (flights, weight) = plain(text.decode())
    assert [tuple(each)[:3] for each in flights.samples] == [("bee_flights_total", labels, 1.0)]
    kind, text = machine.exposition.text(PROMETHEUS_3)
    assert kind == OPEN
    assert text.endswith(b"# EOF\n")
    (flights, weight) = openmetrics(text.decode())
    assert (flights.type, weight.type) == ("counter", "gauge")
    assert [tuple(each)[:3] for each in flights.samples] == [("bee_flights_total", labels, 2.0)]
    assert weight.samples[0].labels == {"alias": "hive"}


def test_a_text_is_made_anew_when_the_last_one_has_been_paid_for() -> None:
    machine = Machine(0.5)
    first = machine.exposition.text("")
    machine.now += 0.5 * SHARE - 0.01
    assert machine.exposition.text("") == first
    assert machine.made == 1
    machine.now += 0.01
    assert machine.exposition.text("") != first
    assert machine.made == 2


def test_the_two_texts_are_of_one_moment() -> None:
    machine = Machine(0.5)
    machine.exposition.text("")
    (flights, _) = openmetrics(machine.exposition.text(OPEN)[1].decode())
    assert flights.samples[0].value == 1
    machine.now += 0.5 * SHARE
    (flights, _) = openmetrics(machine.exposition.text(OPEN)[1].decode())
    assert flights.samples[0].value == 2
    (flights, _) = plain(machine.exposition.text("")[1].decode())
    assert (flights.samples[0].value, machine.made) == (2, 2)


def test_what_fails_once_is_tried_again() -> None:
    machine = Machine(1.0)
    calls = [0]

    def collect() -> Iterator[Metric]:
        calls[0] += 1
        if calls[0] == 1:
            raise RuntimeError("once")
        return machine.collect()

    exposition = Exposition(collect, lambda: machine.now, lambda: machine.cpu)
    with pytest.raises(RuntimeError, match="once"):
        exposition.text("")
    assert b"bee_flights" in exposition.text("")[1]
