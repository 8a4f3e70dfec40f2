"""The open-files limit: enough, not enough for all sessions, not enough to start."""

from __future__ import annotations

import resource

import pytest

from server import limits
from server.errors import ServerError


def test_enough_is_no_warning() -> None:
    assert limits.check_open_files(64 + 500, sessions=1000, workers=2, rows=6) is None


def test_a_limit_below_the_sessions_is_a_warning() -> None:
    warning = limits.check_open_files(64 + 499, sessions=1000, workers=2, rows=6)
    assert warning == (
        "open-files limit 563 holds 998 sessions, 499 a worker; "
        "session.limits.total=1000 is 500 a worker and needs 564 (ulimit -Hn)"
    )


def test_many_rows_take_room_from_sessions() -> None:
    assert limits.check_open_files(2096 + 1, sessions=3612, workers=2, rows=256) is None
    assert limits.check_open_files(2096, sessions=3612, workers=2, rows=256) is not None


def test_a_limit_below_the_floor_is_an_error() -> None:
    assert limits.check_open_files(96, sessions=1, workers=2, rows=6) is None
    with pytest.raises(ServerError, match="got a limit of 95, expected at least 96 for 2 workers"):
        limits.check_open_files(95, sessions=1, workers=2, rows=6)


def test_rows_for_many_workers_need_descriptors_in_the_supervisor() -> None:
    assert limits.check_open_files(2096, sessions=1, workers=2, rows=256) is None
    with pytest.raises(ServerError, match=r"at least 2096 for 2 workers, at times 256 \(ulimit"):
        limits.check_open_files(2095, sessions=1, workers=2, rows=256)


def test_the_soft_limit_is_raised() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(256, hard), hard))
    try:
        assert limits.raise_open_files() == hard
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize(
    ("others", "guests", "staff"),
    [(0, 36, 96), (14, 36, 82), (48, 36, 48), (49, 35, 47), (90, -6, 6)],
)
def test_room_for_sessions(others: int, guests: int, staff: int) -> None:
    assert limits.session_room(100, others, staff=False) == guests
    assert limits.session_room(100, others, staff=True) == staff
