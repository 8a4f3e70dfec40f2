"""The errors that say why something did not reach another session."""

from __future__ import annotations

import pytest

from tests.helpers.engine import Client, error_of

ERROR = "error(require('beespace.box.undelivered').error(...))"


@pytest.mark.parametrize(
    ("reason", "error"),
    [
        ("none", (254, "Session 5000000000 does not exist")),
        ("closed", (86, "Session is closed")),
        ("early", (5, "A session does not support packets before its greeting")),
        ("full", (32, "the inbox of session 5000000000 is full")),
        ("busy", (32, "the worker of session 5000000000 does not keep up")),
    ],
)
def test_every_reason(client: Client, reason: str, error: tuple[int, str]) -> None:
    assert error_of(client.eval(ERROR, reason, 5_000_000_000)) == error
