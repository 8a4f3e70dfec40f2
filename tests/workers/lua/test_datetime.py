"""Module datetime, against Python's datetime."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers.lua import make_runtime

RUNTIME = make_runtime()
FIELDS = RUNTIME.execute(
    """
    local datetime = require('datetime')
    return function(seconds, nsec, offset)
      local d = datetime.new({timestamp = seconds, nsec = nsec, tzoffset = offset})
      local again = datetime.new({year = d.year, month = d.month, day = d.day, hour = d.hour,
        min = d.min, sec = d.sec, nsec = d.nsec, tzoffset = d.tzoffset})
      assert(again == d and not (d < again) and d <= again)
      return d.year, d.month, d.day, d.hour, d.min, d.sec, d.nsec, d.tzoffset, d.yday, d.wday,
        d.epoch
    end
    """
)


@settings(max_examples=300, deadline=None)
@given(
    st.datetimes(),
    st.integers(0, 10**9 - 1),
    st.integers(-720, 840),
)
def test_fields(local: dt.datetime, nsec: int, offset: int) -> None:
    zone = dt.timezone(dt.timedelta(minutes=offset))
    whole = local.replace(microsecond=0, tzinfo=zone)
    since = whole.replace(tzinfo=dt.UTC) - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    as_utc = round(since.total_seconds())
    found = RUNTIME.call(FIELDS, as_utc, nsec, offset)
    parts = whole.timetuple()
    assert found == (
        *parts[:6], nsec, offset, parts.tm_yday, (parts.tm_wday + 1) % 7 + 1, as_utc - offset * 60,
    )  # fmt: skip


def text_of(source: str) -> str:
    """A Lua expression's result as text; datetime and interval are at hand."""
    head = (
        "local datetime = require('datetime') local interval = datetime.interval return tostring("
    )
    return RUNTIME.execute(f"{head}{source})").decode()


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("datetime.new()", "1970-01-01T00:00:00Z"),
        ("datetime.new({year = 2024, month = 2, day = -1})", "2024-02-29T00:00:00Z"),
        ("datetime.new({timestamp = -1, msec = 5})", "1969-12-31T23:59:59.005Z"),
        ("datetime.new({timestamp = 1.5})", "1970-01-01T00:00:01.500Z"),
        ("datetime.new({usec = 7, tzoffset = '-0330'})", "1970-01-01T00:00:00.000007-0330"),
        ("datetime.new({nsec = 7})", "1970-01-01T00:00:00.000000007Z"),
        ("datetime.new({year = 2000}):format()", "2000-01-01T00:00:00Z"),
        ("datetime.is_datetime(datetime.now())", "true"),
        ("datetime.is_datetime(5)", "false"),
        ("datetime.new({timestamp = 5}) == 5", "false"),
        ("interval.new()", "0 seconds"),
        ("interval.new({year = 1, month = 2})", "+1 years, 2 months"),
        ("interval.new({day = -7, hour = -23, min = -23, sec = -1})",
         "-7 days, -23 hours, -23 minutes, -1 seconds"),
        ("interval.new({sec = 12})", "+12 seconds"),
        ("interval.new({week = 1, nsec = 5})", "+1 weeks, 0.000000005 seconds"),
        ("interval.new({sec = -1, nsec = -26000})", "-1.000026000 seconds"),
        ("interval.new({sec = 2, msec = -500})", "+1.500000000 seconds"),
        ("interval.new({day = 1}).adjust", "none"),
        ("interval.new({day = 1, adjust = 'last'}).adjust", "last"),
        ("interval.new({min = 3}).min", "3"),
        ("interval.new({day = 1}) == interval.new({day = 1})", "true"),
        ("interval.new({day = 1}) == interval.new({day = 2})", "false"),
        ("interval.is_interval(interval.new())", "true"),
    ],
)  # fmt: skip
def test_texts(source: str, text: str) -> None:
    assert text_of(source) == text


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("datetime.new(5)", "datetime.new(): expected table, but received number"),
        ("datetime.new({month = 13})", "value 13 of month is out of allowed range [1, 12]"),
        ("datetime.new({day = 31, month = 4})", "invalid number of days 31 in month 4 for 1970"),
        ("datetime.new({hour = 'x'})", "hour: integer value expected, but received string"),
        ("datetime.new({nsec = 1, usec = 1})",
         "only one of nsec, usec or msecs may be defined simultaneously"),
        ("datetime.new({timestamp = 1, year = 2})", "timestamp is not allowed if year provided"),
        ("datetime.new({timestamp = 0/0})", "bad timestamp ('number' expected, got 'nan')"),
        ("datetime.new({tzoffset = 'abc'})", "invalid time-zone format abc"),
        ("datetime.new({tzoffset = 900})",
         "value 900 of tzoffset is out of allowed range [-720, 840]"),
        ("datetime.new() < 5", "incompatible types for datetime comparison"),
        ("interval.new(5)", "interval.new(): expected table, but received number"),
        ("interval.new({adjust = 'x'})", "value x of adjust is none of 'none', 'excess', 'last'"),
    ],
)  # fmt: skip
def test_errors(source: str, text: str) -> None:
    assert text_of(f"select(2, pcall(function() return {source} end))").endswith(text)


def test_now_is_now() -> None:
    before = dt.datetime.now(dt.UTC).timestamp()
    stamp = float(text_of("('%.6f'):format(datetime.now().timestamp)"))
    assert before - 0.001 <= stamp <= dt.datetime.now(dt.UTC).timestamp() + 0.001


def test_a_refused_interval_leaves_the_output_limit_alone() -> None:
    source = """
    local put, interval = require('beespace.engine.put'), require('datetime').interval
    put.limits.cap = 77
    interval.new({day = 2})
    assert(not pcall(interval.new, {sec = 'x'}))
    return put.limits.cap"""
    assert RUNTIME.execute(source) == 77
