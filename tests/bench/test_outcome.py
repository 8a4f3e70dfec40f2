"""Promises, slopes, and how they are shown: as a table, as Markdown, as a page."""

from __future__ import annotations

import html.parser
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from bench import outcome, page, pictures, run
from bench.client import Load
from bench.outcome import Curve, Line, Outcome, Promise
from bench.rounds import Series
from bench.run import Result, Wanted
from bench.scenarios import SCENARIOS
from bench.suite import loads
from bench.suite.registry import SUITE
from bench.table import Table

PROMISES = """\
Promises
what                  bar  found       outcome
----------------------------------------------
rate       at least 1.5 x    2 x           met
memory  at most 300 bytes      -  not measured
time       at most 1.5 ms   2 ms       NOT MET"""

MARKDOWN = """\
| what | bar | found | outcome |
| --- | ---: | ---: | ---: |
| rate | at least 1.5 x | 2 x | met |
| memory | at most 300 bytes | - | not measured |
| time | at most 1.5 ms | 2 ms | NOT MET |"""

KEPT = Promise("rate", 1.5, 2.0, "x")
UNKNOWN = Promise("memory", 300, None, "bytes", at_least=False)
MISSED = Promise("time", 1.5, 2.0, "ms", at_least=False)
CURVE = Curve("cost", "sessions", "us", (Line("beespace:2", ((10, 1.0), (1000, 10.0))),))


def found() -> list[Result]:
    table = Table("Some <table>", ("server", "figure"), (("beespace:2", "1"),), 1)
    made = Outcome([table], [KEPT, MISSED], [CURVE], {"series": [1, 2]}, ["a note"])
    return [
        Result(SUITE["throughput"], made, 1.25),
        Result(SUITE["idle"], None, 0.5, failure="the server <died>"),
        Result(SUITE["cores"], None, 0.0, left_out="not its own"),
    ]


def wanted() -> Wanted:
    entries = list(SUITE.values())
    return Wanted(entries, "beespace:2", None, 3, 1.0, smoke=False, budget=None)


@pytest.mark.parametrize(("limit", "met"), [(1.9, True), (2.0, True), (2.1, False)])
def test_a_promise_from_below(limit: float, met: bool) -> None:
    assert Promise("rate", limit, 2.0, "x").met is met


@pytest.mark.parametrize(("limit", "met"), [(1.9, False), (2.0, True), (2.1, True)])
def test_a_promise_from_above(limit: float, met: bool) -> None:
    assert Promise("time", limit, 2.0, "us", at_least=False).met is met


def test_promises_as_a_table() -> None:
    table = outcome.promises([KEPT, UNKNOWN, MISSED])
    assert table.plain() == PROMISES
    assert table.markdown() == MARKDOWN


def test_a_promise_says_that_the_client_was_the_limit() -> None:
    table = outcome.promises([KEPT, replace(MISSED, client_bound=True)])
    assert [row[2] for row in table.rows] == ["2 x", "2 ms!"]
    assert table.notes == ("! client: it was the limit, the server may be faster",)
    assert table.markdown().endswith(f"NOT MET |\n\n{table.notes[0]}")


def test_the_heading_tells_the_versions(tmp_path: Path) -> None:
    document = run.document(wanted(), found())
    page.write(tmp_path, "python -m bench run all", document, found())
    heading = (tmp_path / "figures.md").read_text().partition("\n")[0]
    told = r"; beespace:2 \(beespace \d.*, LuaJIT 2\.1.*, Python 3\..*\) beside nothing\.$"
    assert re.search(told, heading)
    assert document["versions"].keys() == {"beespace:2"}


@pytest.mark.parametrize(
    ("costs", "text"), [((1.0, 10.0), "+1.00"), ((5.0, 4.99), "+0.00"), ((5.0,), "")]
)
def test_the_slope_as_a_text(costs: tuple[float, ...], text: str) -> None:
    assert Line("x", tuple((10.0 ** (k + 1), cost) for k, cost in enumerate(costs))).grows == text


def test_a_promise_names_the_servers_that_were_measured() -> None:
    load = Load(SCENARIOS["ping"], 8, 128)
    alone, other = Series(load, "a", ()), Series(load, "b", ())
    assert loads.times([alone], 1.5).about == "ping 8x128: a, requests/s"
    assert loads.times([alone, other], 1.5).about == "ping 8x128: a / b, requests/s"


@pytest.mark.parametrize(("power", "scale"), [(0.0, 5.0), (1.0, 0.1), (2.0, 3.0), (-0.5, 1.0)])
def test_the_slope_is_the_power_that_the_cost_grows_with(power: float, scale: float) -> None:
    points = tuple((float(size), scale * size**power) for size in (1, 10, 100, 1000))
    assert Line("made", points).slope == pytest.approx(power, abs=1e-9)


def test_one_size_has_no_slope() -> None:
    assert Line("made", ((10, 1.0),)).slope is None
    assert Line("made", ((10, 1.0), (10, 2.0))).slope is None


def test_slopes_of_growing_curves_only() -> None:
    table = outcome.slopes([CURVE, Curve("rate", "a", "b", CURVE.lines, growth=False)])
    assert table is not None
    assert table.rows == (("cost", "beespace:2", "+0.50"),)
    assert outcome.slopes([]) is None


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.123456, "0.123"),
        (8, "8"),
        (12.34, "12.3"),
        (999.6, "1,000"),
        (123456, "123,456"),
    ],
)
def test_numbers(value: float, text: str) -> None:
    assert outcome.number(value) == text


class Balance(html.parser.HTMLParser):
    """Every element that is opened is closed in order."""

    VOID = frozenset({"meta", "path", "use"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self.VOID:
            self.open.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag


def test_the_page_is_whole_and_needs_nothing_else() -> None:
    text = page.html("python -m bench <run>", found())
    balance = Balance()
    balance.feed(text)
    assert balance.open == []
    assert not [link for link in balance.links if "//" in link]
    assert "bench &lt;run&gt;" in text
    assert "Some &lt;table&gt;" in text
    assert "not measured: the server &lt;died&gt;" in text
    assert "<script" not in text
    assert '<td class="missed">NOT MET</td>' in text
    assert "<svg" in text


def test_a_picture_is_the_same_every_time() -> None:
    first = pictures.svg(CURVE)
    assert first == pictures.svg(CURVE)
    assert "beespace:2, slope +0.50" in first


def test_the_report_has_three_files(tmp_path: Path) -> None:
    document = run.document(wanted(), found())
    page.write(tmp_path / "out", "python -m bench run all", document, found())
    known = json.loads((tmp_path / "out" / "report.json").read_text())
    assert known["scenarios"]["throughput"]["series"] == [1, 2]
    assert known["scenarios"]["throughput"]["promises"][1]["met"] is False
    assert known["scenarios"]["throughput"]["curves"][0]["lines"][0]["slope"] == pytest.approx(0.5)
    assert known["scenarios"]["idle"]["failure"] == "the server <died>"
    assert known["scenarios"]["cores"]["left_out"] == "not its own"
    lines = (tmp_path / "out" / "figures.md").read_text().splitlines()
    assert lines[0].startswith("`python -m bench run all`, 2")
    assert "beside nothing" in lines[0]
    assert "| rate | at least 1.5 x | 2 x | met |" in lines
    page_text = (tmp_path / "out" / "report.html").read_text()
    assert page_text.startswith("<!doctype html>")
    assert "<p>python -m bench run all, 2" in page_text
