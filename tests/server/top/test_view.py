"""What of the sessions is looked at, and what typing and keys make of it."""

from __future__ import annotations

import pytest

from server.top.view import MOST, SORTS, View
from shm.filters import FilterError


def test_the_view_of_the_start() -> None:
    wanted = View().filter
    assert (wanted.order, wanted.descending, wanted.limit) == ("requests", True, MOST)
    assert wanted.conditions == ()


def test_keys_go_through_all_fields_and_round() -> None:
    view = View(sort=SORTS[0])
    seen = []
    for _ in SORTS:
        seen.append(view.sort)
        assert view.filter.order == view.sort
        view = view.moved(1)
    assert tuple(seen) == SORTS
    assert view.sort == SORTS[0]
    assert view.moved(-1).sort == SORTS[-1]
    assert View(sort="connected").moved(1).sort == SORTS[1]


def test_the_other_way_round() -> None:
    assert not View().turned().filter.descending
    assert View().turned().turned() == View()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ""),
        ("user=ada  idle_gt=60", "user=ada idle_gt=60"),
        ("user=ada user=bob not_type=console", "user=ada user=bob not_type=console"),
        ("name='two words'", "'name=two words'"),
    ],
)
def test_conditions_are_typed_and_shown(text: str, words: str) -> None:
    view = View().narrowed(text)
    assert view.words == words
    assert View().narrowed(view.words) == view


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("ada", "filter: got 'ada', expected key=value, such as user=ada or idle_gt=60"),
        ("colour=red", "filter: got 'colour', expected one of "),
        ("idle_gt=soon", "idle_gt: got 'soon', expected a number of seconds"),
        ("limit=5", "filter: got 'limit=5', expected key=value"),
        ("name='open", 'filter: got "name=\'open", expected words with closed quotes'),
    ],
)
def test_what_cannot_be_read_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(FilterError) as refused:
        View().narrowed(text)
    assert str(refused.value).startswith(complaint)
