"""Pictures of a server: a function of two snapshots, as golden texts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from server.top import amounts, plain
from server.top.frame import frame
from tests.helpers.server import DATA
from tests.server.top import made

GOLDEN = (DATA / "top_frame.txt").read_text()


def test_two_snapshots_make_a_picture() -> None:
    shown = frame(made.before(), made.after())
    assert "".join(f"{line}\n" for line in plain.lines(shown)) == GOLDEN
    assert shown.requests == 2000.0


def test_the_first_look_has_no_rates() -> None:
    shown = frame(None, made.after())
    assert shown.requests == 0
    assert "requests/s -  errors/s -" in shown.head[1]
    assert [row[7] for row in shown.workers.rows] == ["-", "-", "-"]
    # The supervisor's own figure stands in for the one that needs two looks.
    assert [row[4] for row in shown.workers.rows] == ["25", "0", "25"]
    assert "stands still" not in " ".join(map(" ".join, shown.workers.rows))


def test_another_server_in_the_same_place_has_no_rates() -> None:
    other = replace(made.after(), facts=replace(made.FACTS, boot="another"))
    assert frame(made.before(), other).requests == 0


def test_what_is_wrong_is_said_in_the_head() -> None:
    now = made.after()
    hangs = replace(
        now,
        supervisor=replace(now.supervisor, phase="stopping", silence=12.0),
        acceptor=replace(now.acceptor, state="dead"),
    )
    told = frame(None, hangs).head[0]
    assert told.startswith("hive  stopping, supervisor silent for 12s, acceptor dead  process 100")


def test_workers_that_come_and_go() -> None:
    new = made.worker(0, 1, on_duty=False, state="starting")
    drains = made.worker(1, 1, on_duty=False, state="draining")
    shown = frame(None, made.shot(1.0, workers=(new, drains), sessions=()))
    assert [row[2] for row in shown.workers.rows] == ["starting, new", "draining"]
    assert shown.sessions.rows == ()


def test_wide_characters_keep_columns_apart() -> None:
    rows = (made.session(7, 1, user="日本"), made.session(8, 1, user="abcd"))
    found = list(plain.lines(frame(None, made.shot(1.0, workers=(), sessions=rows))))[-2:]
    assert [line.partition("127.")[0] for line in found] == [" 7  日本  ", " 8  abcd  "]


def test_nothing_of_a_client_steers_the_terminal() -> None:
    rude = made.session(1, 1, peer="unix/:/tmp/\x1b[2J\n", name="a\x07b", user="c\rd")
    (row,) = frame(None, made.shot(1.0, workers=(), sessions=(rude,))).sessions.rows
    assert (row[1], row[2], row[-1]) == ("c\\rd", "unix/:/tmp/\\x1b[2J\\n", "a\\x07b")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (7, "7"),
        (0.5, "0.50"),
        (12.34, "12.3"),
        (999, "999"),
        (999.6, "1.00k"),
        (12_345, "12.3k"),
        (999_960, "1.00M"),
        (5.5e9, "5.50G"),
        (2e13, "20.0T"),
    ],
)
def test_counts(value: float, text: str) -> None:
    assert amounts.count(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (1000, "1000"),
        (1024, "1.00K"),
        (1536, "1.50K"),
        (5 << 20, "5.00M"),
        (3 << 40, "3.00T"),
    ],
)
def test_sizes(value: float, text: str) -> None:
    assert amounts.size(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0.0s"),
        (0.44, "0.4s"),
        (9.9, "9.9s"),
        (59.9, "59s"),
        (60, "1m00s"),
        (125, "2m05s"),
        (11220, "3h07m"),
        (4 * 86400 + 12 * 3600, "4d12h"),
    ],
)
def test_spans(seconds: float, text: str) -> None:
    assert amounts.span(seconds) == text


def test_bars() -> None:
    assert amounts.bars([0, 4, 8], 5) == "   ▄█"
    assert amounts.bars([1, 2, 4, 8], 2) == "▄█"
    assert amounts.bars([0, 0], 3) == "   "
    assert amounts.bars([], 2) == "  "
