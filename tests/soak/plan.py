"""Which fault happens when: all of it is in the seed. Pure.

Faults are drawn like cards: a shuffled deck, then the next one, so that every kind happens about as
often as its share, also in a short run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from random import Random
from typing import Final

DECK: Final[Mapping[str, int]] = {
    "kill_worker": 4,
    "kill_acceptor": 1,
    "kill_metrics": 1,
    "freeze_worker": 1,
    "pause_worker": 2,
    "pause_acceptor": 1,
    "pause_supervisor": 1,
    "reload": 1,
    "restart_workers": 1,
    "one_more": 1,
    "one_fewer": 1,
    "runaway": 1,
    "endless": 1,
    "stuck": 1,
    "hog": 1,
    "broken_start": 1,
}
"""Cards of each kind; :mod:`tests.soak.faults` has a function for each.

An acceptor that is killed often waits longer and longer before it starts again, and all clients
with it, so it is killed rarely.
"""
GAP: Final = 2.5
"""Longest time from one fault to the next, seconds."""
AT_ONCE: Final = 0.15
"""Part of the faults that follow the one before at once."""


@dataclass(frozen=True)
class Planned:
    """One fault: seconds after the begin, what, and two dice for the rest (from 0 to 1)."""

    at: float
    kind: str
    which: float
    how: float


def schedule(
    seed: int, seconds: float, most: int, deck: Mapping[str, int] = DECK, gap: float = GAP
) -> list[Planned]:
    """At most ``most`` faults within some seconds, ``gap`` seconds between two of them at most."""
    random = Random(seed)
    cards = _cards(random, deck)
    planned: list[Planned] = []
    at = random.uniform(0, gap)
    while at < seconds and len(planned) < most:
        planned.append(Planned(at, next(cards), random.random(), random.random()))
        at += 0 if random.random() < AT_ONCE else random.uniform(0.04 * gap, gap)
    return planned


def only(kinds: Sequence[str]) -> Mapping[str, int]:
    """The cards of some kinds, all cards when none is named."""
    return {kind: DECK[kind] for kind in kinds} or DECK


def _cards(random: Random, deck: Mapping[str, int]) -> Iterator[str]:
    """Decks without end."""
    cards = list(chain.from_iterable([kind] * count for kind, count in deck.items()))
    while True:
        random.shuffle(cards)
        yield from cards
