"""Totals are read from the text for Prometheus, whatever their labels."""

from __future__ import annotations

from tests.soak import observer

TEXT = """# HELP beespace_requests_total Requests.
# TYPE beespace_requests_total counter
beespace_requests_total{alias="default",type="call"} 5.0
beespace_requests_total{alias="default",type="ping"} 2.0
beespace_requests_totally{alias="default"} 99.0
beespace_sessions_claimed_total 1e+06
"""


def test_totals_are_summed_over_their_labels() -> None:
    assert observer.parse(TEXT) == {
        "beespace_requests_total": 7,
        "beespace_sessions_claimed_total": 1_000_000,
        "beespace_sessions_ended_total": 0,
    }
