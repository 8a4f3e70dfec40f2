"""Tokens come with time, up to a second's worth, and no more are taken than there are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.bucket import SLICE, Bucket


@pytest.mark.parametrize(
    ("rate", "uses", "room"),
    [
        # (time, tokens taken then) ..., and what is there at 10 s
        (5, [], 5),
        (5, [(10.0, 5)], 0),
        (5, [(9.0, 5)], 5),
        (5, [(9.5, 5)], 2),
        (0.5, [(9.0, 1)], 0),
        (0.5, [(8.0, 1)], 1),
        (1024, [(9.75, 1024)], 256),
    ],
)
def test_room(rate: float, uses: list[tuple[float, int]], room: int) -> None:
    bucket = Bucket(rate, 0.0)
    for at, count in uses:
        assert bucket.room(at) >= count
        bucket.take(count)
    assert bucket.room(10.0) == room


def test_no_rate_is_no_limit() -> None:
    bucket = Bucket(0, 0.0)
    bucket.take(10**6)
    assert bucket.room(0.0) > 10**6


@pytest.mark.parametrize("rate", [1, 3, 7, 99, 100, 12_345])
def test_when_it_is_due_there_is_something(rate: int) -> None:
    bucket = Bucket(rate, 100.0)
    bucket.take(bucket.room(100.0))
    due = bucket.due()
    assert due == pytest.approx(100 + max(1 / rate, SLICE), abs=0.001)
    assert bucket.room(due) >= max(1, int(rate * SLICE))


@given(
    rate=st.integers(1, 5000),
    steps=st.lists(st.tuples(st.floats(0, 3), st.integers(0, 6000)), max_size=40),
)
def test_never_more_than_the_rate_and_one_burst(rate: int, steps: list[tuple[float, int]]) -> None:
    now, taken = 0.0, 0
    bucket = Bucket(rate, now)
    for pause, wanted in steps:
        now += pause
        count = min(wanted, bucket.room(now))
        bucket.take(count)
        taken += count
    assert taken <= rate * (now + 1) + 1
