"""box.security: failed logins listed and forgotten, for admin and super only."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.helpers import users
from tests.helpers.engine import Client, Engine, error_of
from tests.helpers.users import login


@pytest.fixture(scope="module", autouse=True)
def _users(engine: Engine) -> None:
    users.add(engine, "boss", "secret")
    users.make_super(engine, "boss")
    users.add(engine, "bob", "secret")
    users.allow_everything(engine, "bob")


@pytest.fixture
def boss(engine: Engine) -> Iterator[Client]:
    """A super user, after some failures of others."""
    for peer, name in ((b"10.0.0.1:1", "bob"), (b"10.0.0.2:1", "bob"), (b"10.0.0.2:9", "nosuch")):
        with engine.connect(peer) as client:
            assert login(client, name, "wrong").code == 47
    with engine.connect(b"10.0.0.3:1") as client:
        assert login(client, "boss", "secret").code == 0
        yield client
    engine.execute("require('beespace.engine.failures').reset()")


def test_the_newest_is_first(boss: Client) -> None:
    (rows,) = boss.eval("return box.security.failures()").data

    assert {row["last"] > time.time() - 30 for row in rows} == {True}
    assert {row.get("user") or row["peer"] for row in rows[:2]} == {"nosuch", "10.0.0.2"}
    assert [row["last"] for row in rows] == sorted([row["last"] for row in rows], reverse=True)
    (bob,) = [row for row in rows if row.get("user") == "bob"]
    del bob["last"]
    assert bob == {"user": "bob", "known": True, "count": 2, "consecutive": 2, "refused": 0}


@pytest.mark.parametrize(
    ("filter_", "expected"),
    [
        ("'bob'", ["bob"]),
        ("'10.0.0.2'", ["10.0.0.2"]),
        ("'10.0.0.9'", []),
        ("{user = 'bob'}", ["bob"]),
        ("{known = false}", ["nosuch"]),
        ("{peer = '10.0.0.1', count = 1}", ["10.0.0.1"]),
        ("{count = 2}", ["10.0.0.2", "bob"]),
        ("{}", ["10.0.0.1", "10.0.0.2", "bob", "nosuch"]),
    ],
)
def test_filters(boss: Client, filter_: str, expected: list[str]) -> None:
    (rows,) = boss.eval(f"return box.security.failures({filter_})").data
    assert sorted(row.get("user") or row["peer"] for row in rows) == expected


@pytest.mark.parametrize(
    ("call", "text"),
    [
        ("failures(5)", "Usage: box.security.failures([name or table])"),
        ("failures({name = 1})", "box.security.failures(): unexpected field 'name'"),
        ("reset(5)", "Usage: box.security.reset([name])"),
    ],
)
def test_bad_arguments(boss: Client, call: str, text: str) -> None:
    assert error_of(boss.eval(f"return box.security.{call}")) == (32, text)


def test_reset(boss: Client) -> None:
    assert boss.eval("return box.security.reset('bob')").data == [1]
    assert boss.eval("return #box.security.failures()").data == [3]
    assert boss.eval("return box.security.reset('bob'), box.security.reset()").data == [0, 3]
    assert boss.eval("return #box.security.failures()").data == [0]


def test_a_delay_that_runs_is_shown_and_reset_ends_it(boss: Client) -> None:
    boss.engine.execute("require('beespace.engine.failures').delay = 60")
    with boss.engine.connect(b"10.0.0.4:1") as client:
        assert login(client, "bob", "wrong").code == 257
        (rows,) = boss.eval("return box.security.failures('bob')").data
        assert 0 < rows[0]["delayed"] <= 60
        boss.eval("box.security.reset()")
        assert login(client, "bob", "secret").code == 0
    boss.engine.execute("require('beespace.engine.failures').delay = 0")


@pytest.mark.parametrize(("call", "right"), [("failures()", "Read"), ("reset()", "Write")])
def test_others_are_refused(boss: Client, call: str, right: str) -> None:
    login(boss, "bob", "secret")
    text = f"{right} access to universe '' is denied for user 'bob'"
    assert error_of(boss.eval(f"return box.security.{call}")) == (42, text)


def test_background_code_may(engine: Engine) -> None:
    assert engine.execute("return #box.security.failures()") == 0
