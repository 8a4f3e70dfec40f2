"""The plan of a soak is in its seed, and has a function for each of its faults."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

from tests.soak import plan
from tests.soak.faults import Faults


def test_a_seed_always_gives_the_same_plan() -> None:
    assert plan.schedule(7, 60, 100) == plan.schedule(7, 60, 100)
    assert plan.schedule(7, 60, 100) != plan.schedule(8, 60, 100)


def test_it_is_bounded_by_time_and_by_count() -> None:
    long = plan.schedule(1, 600, 10_000)
    assert max(each.at for each in long) < 600
    assert [each.at for each in long] == sorted(each.at for each in long)
    assert plan.schedule(1, 600, 5) == long[:5]
    assert plan.schedule(1, 0, 100) == []


def test_every_kind_comes_as_often_as_its_cards() -> None:
    deck = sum(plan.DECK.values())
    kinds = Counter(each.kind for each in plan.schedule(3, 1000, 2 * deck))
    assert kinds == {kind: 2 * cards for kind, cards in plan.DECK.items()}


def test_dice_are_dice() -> None:
    for each in plan.schedule(5, 60, 100):
        assert 0 <= each.which < 1
        assert 0 <= each.how < 1


def test_every_kind_can_be_done() -> None:
    assert [kind for kind in plan.DECK if not callable(getattr(Faults, kind, None))] == []


def test_some_kinds_only() -> None:
    deck = plan.only(["hog", "stuck"])
    found = plan.schedule(1, 60, 100, deck, gap=1.0)
    assert {each.kind for each in found} == {"hog", "stuck"}
    assert max(b.at - a.at for a, b in pairwise(found)) < 1
    assert plan.only([]) == plan.DECK
