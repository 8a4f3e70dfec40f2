"""A server made by hand, whose metrics tests read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as plain

from server.metrics import own, tarantool
from server.metrics.exposition import Exposition
from server.metrics.families import Families
from server.metrics.reading import Reader
from shm import layout
from shm.catalog import changes
from shm.catalog.store import FILE, Store
from shm.segment import Segment
from shm.sessions import SessionTable
from shm.states import Phase, SlotState, WorkerState

ADMIN: Final = 1
URIS: Final = ("127.0.0.1:3301", "unix/:/run/bee.sock", "unix/:/run/console.sock")

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


class Hive:
    """A server made by hand, of two workers and room for two more."""

    def __init__(self, segment: Segment, folder: Path) -> None:
        self.segment = segment
        self.catalog = folder / FILE
        Store.make(self.catalog, durable=False).close()
        header = segment.header
        header.phase, header.acceptor_state = Phase.RUNNING, WorkerState.READY
        for index, row in enumerate(segment.rows[:2]):
            row.pid, row.state = 4_000_000 + index, WorkerState.READY
        at, size = layout.Header.listener_names.offset, layout.LISTENER_BYTES
        for index, uri in enumerate(URIS):
            segment.memory[at + index * size : at + index * size + len(uri)] = uri.encode()
        header.listeners = len(URIS)
        self.reader = Reader(segment, "hive", "1.2.3", self.catalog)

    def families(self) -> Iterator[Metric]:
        made, reading = Families("hive"), self.reader.read()
        yield from tarantool.families(made, reading)
        yield from own.families(made, reading, {})

    def text(self, accept: str = "") -> str:
        return Exposition(self.families).text(accept)[1].decode()

    def samples(self, accept: str = "") -> Samples:
        return read(plain if not accept else openmetrics, self.text(accept))

    def values(self, name: str, *labels: str) -> dict[Any, float]:
        """Values of one metric by some of its labels, the label itself when it is one."""
        found = {}
        for (each, pairs), value in self.samples().items():
            if each == name:
                told = dict(pairs)
                key = tuple(told.pop(label) for label in labels)
                found[key[0] if len(labels) == 1 else key] = value
        return found

    def value(self, name: str) -> float:
        (value,) = self.values(name).values()
        return value

    def users(self, *names: str) -> list[int]:
        """Make users; their ids."""
        with closing(Store.open(self.catalog, durable=False)) as store:
            uids = [
                changes.apply(store, "create_principal", (ADMIN, "user", name)) for name in names
            ]
        self.segment.renew_catalog()
        return uids

    def claim(self, uid: int = 0, state: SlotState = SlotState.LIVE, **kind: Any) -> Any:
        with closing(SessionTable(self.segment)) as table:
            number = table.claim(b"127.0.0.1:1", 0, bytes(layout.SALT_BYTES), **kind)
        assert number is not None
        slot = self.segment.slots[number % self.segment.capacity]
        slot.state, slot.uid = state, uid
        return slot


def read(parse: Callable[[str], Any], text: str) -> Samples:
    """All samples; AssertionError for two of the same name and labels."""
    found: Samples = {}
    for family in parse(text):
        for sample in family.samples:
            key = (sample.name, frozenset(sample.labels.items()))
            assert key not in found, key
            found[key] = sample.value
    return found
