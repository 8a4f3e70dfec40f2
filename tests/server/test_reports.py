"""One log line a period, however often it happens."""

from __future__ import annotations

from server.reports import REPORT_PERIOD, Report


def test_a_report_tells_once_a_period_with_the_count() -> None:
    told: list[int] = []
    report = Report(told.append)
    report.hit(0.0, 2)
    report.hit(1.0)
    report.hit(9.0, 4)
    assert told == [2]
    report.expire(REPORT_PERIOD - 0.1)
    assert told == [2]
    report.expire(REPORT_PERIOD)
    assert told == [2, 5]
    report.expire(2 * REPORT_PERIOD)
    assert report.deadline is None
    report.hit(50.0)
    assert told == [2, 5, 1]
