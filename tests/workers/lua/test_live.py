"""Settings that change while the worker runs."""

from __future__ import annotations

import msgpack
import pytest

from server import reload
from server.settings import Settings
from tests.helpers.engine import Engine

ATTEND = "require('beespace.engine.loop').attend_to_python()"


@pytest.mark.parametrize(
    ("key", "value", "found"),
    [
        ("iproto.net_msg_max", 7, "require('beespace.engine.flight').limit"),
        ("iproto.net_msg_max", 7, "box.cfg.net_msg_max"),
        ("process.stop_timeout", 7, "require('beespace.engine.stopping').timeout"),
        ("security.auth_delay", 7, "require('beespace.engine.failures').delay"),
        ("security.auth_retries", 7, "require('beespace.engine.failures').retries"),
        ("security.disable_guest", True, "require('beespace.engine.access').guest_disabled"),
        (
            "security.keep_sessions_on_password_change",
            True,
            "require('beespace.engine.logins').keep",
        ),
        ("session.inbox_limit", 7, "require('beespace.engine.inbox').limit"),
        ("session.output_limit", 7, "require('beespace.engine.output').limit"),
    ],
)
def test_each_goes_where_it_is_used(key: str, value: object, found: str) -> None:
    with Engine(warm=False) as engine:
        before = engine.execute(f"return {found}")
        assert before == reload.live(Settings())[key] != value
        engine.apply({key: value, "no.such.key": 1})
        assert engine.execute(f"return {found}") == value


def test_the_loop_takes_what_the_supervisor_sends() -> None:
    with Engine(warm=False) as engine:
        engine.asked = b""
        engine.changed = msgpack.packb({"session.inbox_limit": 4096, "session.output_limit": 8192})
        engine.execute(ATTEND)
        assert engine.execute("return require('beespace.engine.inbox').limit") == 4096
        assert engine.execute("return require('beespace.engine.output').limit") == 8192


def test_the_level_of_the_log(capfd: pytest.CaptureFixture[str]) -> None:
    with Engine(warm=False) as engine:
        engine.execute("require('log').verbose('before')")
        engine.apply({"log.level": "verbose"})
        engine.execute("require('log').verbose('after')")
        assert engine.execute("return require('log').level()") == 6
        engine.apply({"log.level": "info", "log.format": "json"})
        assert engine.execute("return box.cfg.log_format") == b"json"
    printed = capfd.readouterr().err
    assert "after" in printed
    assert "before" not in printed


def test_what_cannot_be_read_is_said(capfd: pytest.CaptureFixture[str]) -> None:
    with Engine(warm=False) as engine:
        engine.changed = b"\x81\xa9log.level\xa4loud"
        engine.execute(ATTEND)
    assert "settings could not be applied: log.level" in capfd.readouterr().err
