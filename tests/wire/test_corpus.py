"""Every case of the wire corpus, in every feed, against the whole server."""

from __future__ import annotations

import re

import pytest

from tests.helpers.feeds import FEEDS, Barrier
from tests.helpers.raw import Raw
from tests.helpers.server import Server
from tests.wire.cases import Case, check, load

CASES = load()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case(case: Case, wire_server: Server, barrier: Barrier) -> None:
    for name, feed in FEEDS.items():
        try:
            with Raw(wire_server.address) as client:
                answers = feed(client, case.message, barrier)
            for answer, expected in zip(answers, case.answers, strict=True):
                check(answer, expected)
        except BaseException as error:
            error.add_note(f"fed {name}: {case.message.data[:200].hex(' ')}")
            raise


def test_corpus_names_are_unique() -> None:
    names = [case.name for case in CASES]
    assert len(names) == len(set(names))


def test_corpus_says_where_each_case_comes_from() -> None:
    for case in CASES:
        assert re.fullmatch(r"\d+(\.\d+)? \[(26|new)\]", case.origin), case


def test_corpus_is_whole() -> None:
    assert len(CASES) > 800
    assert {case.name.partition(":")[0] for case in CASES} >= {
        "ping", "length", "header", "id", "auth", "call", "call16", "eval", "result", "select",
    }  # fmt: skip
