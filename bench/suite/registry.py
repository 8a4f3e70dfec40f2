"""The scenarios of the suite by name: what each is about, its time, and what it needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from bench.outcome import Outcome
from bench.suite import (
    ceiling,
    churn,
    console,
    cores,
    fibers,
    idle,
    latency,
    listing,
    lookup,
    mixed,
    push,
    scrape,
    start,
    throughput,
)
from bench.suite.context import Context


@dataclass(frozen=True)
class Entry:
    """One scenario."""

    name: str
    about: str
    run: Callable[[Context], Outcome]
    seconds: float
    """Its budget: after that no round is begun that is not needed."""
    own: bool = False
    """It starts this checkout's server itself, so a server given by URI cannot be measured."""


_ALL: Final = (
    Entry("throughput", "requests a second, by kind and load", throughput.run, 240),
    Entry("ceiling", "one worker beside a raw echo", ceiling.run, 60),
    Entry("cores", "a computing function on more workers", cores.run, 60, own=True),
    Entry("fibers", "10,000 requests that sleep", fibers.run, 30),
    Entry("latency", "answers at a fixed rate of arrivals, up to the knee", latency.run, 120),
    Entry("mixed", "short requests beside others that wait or compute", mixed.run, 60),
    Entry("churn", "clients that come and go", churn.run, 90),
    Entry("lookup", "exists and peer against the number of sessions", lookup.run, 90, own=True),
    Entry("idle", "memory of idle sessions", idle.run, 180, own=True),
    Entry("push", "messages from worker to worker", push.run, 60, own=True),
    Entry("list", "60,000 sessions counted and listed", listing.run, 60, own=True),
    Entry("scrape", "metrics of 60,000 sessions", scrape.run, 60, own=True),
    Entry("console", "requests beside a busy console", console.run, 90, own=True),
    Entry("start", "from the command to the first answer", start.run, 60, own=True),
)

SUITE: Final[Mapping[str, Entry]] = MappingProxyType({each.name: each for each in _ALL})
