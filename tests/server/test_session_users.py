"""The limits of single users in the settings' file."""

from __future__ import annotations

from pathlib import Path

import pytest

from server.settings import load
from tests.server.test_settings import refused, written

LIFE = "seconds from 0 (no limit) to 31536000"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[a]", "session.users: got a list, expected a map of names (FILE)"),
        (
            "{guest: 5}",
            "session.users.guest: got a number, expected a map with the keys idle_timeout (FILE)",
        ),
        (
            "{guest: {idle: 5}}",
            "session.users.guest.idle: got a value, expected one of the keys idle_timeout (FILE)",
        ),
        (
            "{guest: {idle_timeout: -1}}",
            f"session.users.guest.idle_timeout: got -1, expected {LIFE} (FILE)",
        ),
        (
            "{a.b: {idle_timeout: soon}}",
            f"session.users.a.b.idle_timeout: got 'soon', expected {LIFE} (FILE)",
        ),
        (
            "{5: {idle_timeout: 1}}",
            "session.users.5: got a number, expected a name as text, write it in quotes (FILE)",
        ),
    ],
)
def test_what_is_wrong_is_one_line(tmp_path: Path, text: str, line: str) -> None:
    flags = written(tmp_path, f"session: {{users: {text}}}")
    assert refused(flags, {}) == [line.replace("FILE", flags["config"])]


def test_users_and_defaults(tmp_path: Path) -> None:
    text = "session: {users: {guest: {idle_timeout: 1.5}, bob: , ann: {}}, login_timeout: 5}"
    made = load(written(tmp_path, text), {})
    assert made.session.users == {"guest": {"idle_timeout": 1.5}, "ann": {}}
    assert made.session.login_timeout == 5
    assert load({}, {}).session.users == {}


def test_there_is_no_variable_for_them() -> None:
    (line,) = refused({}, {"BEESPACE_SESSION_USERS": "{}"})
    assert line.startswith("BEESPACE_SESSION_USERS: got a value, expected no such variable")
