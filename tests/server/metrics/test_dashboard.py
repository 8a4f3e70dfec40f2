"""The dashboard for Grafana in examples/: it asks for what there is, and shows it in its place."""

from __future__ import annotations

import itertools
import json
import re
from typing import Any, Final

import pytest

from shm.states import SessionType
from tests.rules.sources import ROOT
from tests.server.metrics.hive import Hive

DASHBOARD: Final[dict[str, Any]] = json.loads((ROOT / "examples" / "grafana.json").read_text())
PANELS: Final[list[dict[str, Any]]] = DASHBOARD["panels"]
WIDTH: Final = 24
NAME: Final = re.compile(r"\b(?:beespace|tnt)_\w+")
BY: Final = re.compile(r"\b(?:by|on) \(([^)]*)\)")
MATCHER: Final = re.compile(r"(\w+)(?:=~|!~|!=|=)\"")
LEGEND: Final = re.compile(r"\{\{(\w+)\}\}")
GROWTH: Final = re.compile(r"\b(?:rate|increase)\((\w+)\{")


QUERIES: Final = [
    pytest.param(target["expr"], target["legendFormat"], id=f"{panel['title']} {target['refId']}")
    for panel in PANELS
    for target in panel.get("targets", ())
]


@pytest.fixture
def known(hive: Hive) -> dict[str, set[str]]:
    """Labels of every metric there is."""
    hive.claim()
    hive.claim(listener=2, kind=SessionType.CONSOLE)
    found: dict[str, set[str]] = {}
    for name, labels in hive.samples():
        found.setdefault(name, set()).update(dict(labels))
    return found


@pytest.mark.parametrize(("query", "legend"), QUERIES)
def test_a_query(query: str, legend: str, known: dict[str, set[str]]) -> None:
    names = NAME.findall(query)
    assert names
    assert set(names) <= set(known)
    labels = set.intersection(*(known[name] for name in names))
    grouped = {label.strip() for group in BY.findall(query) for label in group.split(",")}
    assert grouped | set(MATCHER.findall(query)) | set(LEGEND.findall(legend)) <= labels
    # What was summed up has the labels of the sum only.
    if "sum by" in query:
        assert set(LEGEND.findall(legend)) <= grouped
    # Every server that was chosen, and no other.
    assert query.count('{alias=~"$alias"') == len(names)
    # What only grows is shown as growth, and nothing else is.
    assert {name for name in names if name.endswith("_total")} == set(GROWTH.findall(query))
    assert query.count("(") == query.count(")")


def test_the_variable_asks_for_what_there_is(known: dict[str, set[str]]) -> None:
    source, alias = DASHBOARD["templating"]["list"]
    assert (source["name"], source["type"], source["query"]) == (
        "datasource",
        "datasource",
        "prometheus",
    )
    assert alias["definition"] == alias["query"]["query"]
    match = re.fullmatch(r"label_values\((\w+), (\w+)\)", alias["definition"])
    assert match is not None
    assert match[2] in known[match[1]]
    assert alias["name"] == "alias"


def test_every_panel_asks_the_source_that_was_chosen() -> None:
    source = {"type": "prometheus", "uid": "${datasource}"}
    shown = [panel for panel in PANELS if panel["type"] != "row"]
    assert len(shown) > 20
    for panel in shown:
        assert panel["datasource"] == source
        assert {target["datasource"]["uid"] for target in panel["targets"]} == {source["uid"]}
        references = [target["refId"] for target in panel["targets"]]
        assert len(set(references)) == len(references)
        assert panel["title"]
    titles = [panel["title"] for panel in PANELS]
    assert len(set(titles)) == len(titles)
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)


def test_panels_lie_side_by_side() -> None:
    covered: set[tuple[int, int]] = set()
    for panel in PANELS:
        place = panel["gridPos"]
        cells = set(
            itertools.product(
                range(place["x"], place["x"] + place["w"]),
                range(place["y"], place["y"] + place["h"]),
            )
        )
        assert not cells & covered, panel["title"]
        assert max(column for column, _ in cells) < WIDTH, panel["title"]
        covered |= cells
    rows = max(row for _, row in covered) + 1
    assert covered == set(itertools.product(range(WIDTH), range(rows)))
