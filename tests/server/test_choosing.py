"""Options of filters: what they become, and what is said about those that are none."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from server.cli import choosing
from server.cli.choosing import chosen
from server.errors import ExitStatus, ServerError
from shm import filters
from shm.filters import Filter, parse


def run(*words: str, pages: bool = True) -> Filter:
    """The filter that these words become."""
    app = typer.Typer()
    got: list[tuple[Filter, str | None]] = []

    @app.command()
    @chosen(pages=pages)
    def look(wanted: Filter, name: str | None = None, history: bool = False) -> None:
        got.append((wanted, name))

    result = CliRunner().invoke(app, [*words, "--name", "hive"])
    if result.exception is not None:
        raise result.exception
    ((wanted, name),) = got
    assert name == "hive"
    return wanted


@pytest.mark.parametrize(
    ("words", "given"),
    [
        ((), {}),
        (("--id", "1", "--id", "2"), {"id": [1, 2]}),
        (("--not-id", "1"), {"not_id": 1}),
        (("--user", "ada", "--not-user", "eve"), {"user": "ada", "not_user": "eve"}),
        (("--uid", "32"), {"uid": 32}),
        (("--peer", "10.0.0.0/8", "--peer", "::1"), {"peer": ["10.0.0.0/8", "::1"]}),
        (("--type", "console"), {"type": "console"}),
        (("--worker", "1"), {"worker": 1}),
        (("--listener", "new"), {"listener": "new"}),
        (("--session-name", "a"), {"name": "a"}),
        (("--not-session-name", ""), {"not_name": ""}),
        (("--state", "closing"), {"state": "closing"}),
        (("--age-gt", "1.5"), {"age_gt": 1.5}),
        (("--not-idle-gt", "60"), {"not_idle_gt": 60}),
        (("--in-flight-gt", "0"), {"in_flight_gt": 0}),
        (("--sort", "-age", "--limit", "5"), {"order": "-age", "limit": 5}),
        (("--after", "7"), {"after": 7}),
    ],
    ids=" ".join,
)
def test_options(words: tuple[str, ...], given: dict[str, Any]) -> None:
    assert run(*words) == parse(given)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--id", "x"), "--id: got 'x', expected the id of a session"),
        (("--not-worker", "x"), "--not-worker: got 'x', expected the number of a worker"),
        (("--not-age-gt", "x"), "--not-age-gt: got 'x', expected a number of seconds from 0 on"),
        (("--type", "x"), "--type: got 'x', expected 'binary' or 'console'"),
        (("--limit", "x"), "--limit: got 'x', expected a whole number from 0 on"),
        (
            ("--sort", "age", "--after", "1"),
            "--after: got '1', expected the order to be id or -id, not age",
        ),
        (("--reason", "idle"), "--reason: got 'idle', expected --history beside it"),
        (("--history", "--after", "1"), "--after: got '1', expected no --history beside it"),
        (
            ("--history", "--not-state", "live"),
            "--not-state: got 'live', expected no --history beside it",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_is_no_filter(words: tuple[str, ...], told: str) -> None:
    with pytest.raises(ServerError) as caught:
        run(*words)
    assert (caught.value.lines, caught.value.exit_code) == ((told,), ExitStatus.SETTINGS)


def test_those_that_have_ended() -> None:
    words = ("--history", "--reason", "idle", "--reason", "limit", "--sort", "ended")
    assert run(*words) == parse({"reason": ["idle", "limit"], "order": "ended"}, filters.ENDED)
    assert run("--history") == filters.NEWEST


def test_pages_are_for_who_lists() -> None:
    with pytest.raises(SystemExit):
        run("--limit", "1", pages=False)


def test_every_condition_has_its_option_and_its_negation() -> None:
    @chosen(pages=False)
    def command(wanted: Filter) -> Filter:
        return wanted

    @chosen(pages=False)
    def both(wanted: Filter, history: bool = False) -> Filter:
        return wanted

    names = set(inspect.signature(command).parameters)
    assert len(names) == 2 * len(filters.SESSIONS.conditions)
    more = {"filter_reason", "filter_not_reason", "history"}
    assert set(inspect.signature(both).parameters) == names | more
    assert {choosing.flag(key) for key in filters.CONDITIONS} >= {"--session-name", "--idle-gt"}


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"user": "ada"}, None),
        ({"user": ""}, None),
        ({"listener": "anything"}, None),
        ({"user": ["ada", "adda"]}, "--user: got 'adda', expected one of ada, guest"),
        ({"not_user": "adda"}, "--not-user: got 'adda', expected one of ada, guest"),
    ],
    ids=str,
)
def test_names_that_are_not_there(given: dict[str, Any], told: str | None) -> None:
    known = {"user": ["guest", "ada"], "listener": []}
    if told is None:
        choosing.refuse_unknown(parse(given), known)
        return
    with pytest.raises(ServerError) as caught:
        choosing.refuse_unknown(parse(given), known)
    assert (caught.value.lines, caught.value.exit_code) == ((told,), ExitStatus.SETTINGS)
