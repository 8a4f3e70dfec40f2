"""Settings of consoles: who may be let in where, and what other keys have to do with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from server.errors import ExitStatus, SettingsError
from server.settings import load
from server.uri import TcpUri


def refused(flags: dict[str, Any], environment: dict[str, str]) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load(flags, environment)
    assert caught.value.exit_code is ExitStatus.SETTINGS
    return list(caught.value.lines)


def written(folder: Path, text: str) -> dict[str, Any]:
    path = folder / "bee.yaml"
    path.write_text(text)
    return {"config": str(path)}


FLAG_LINES = [
    (
        {"console": ["3303", "unix/:/x", "3303"]},
        "console.listen: got a list, expected every listen URI once (--console)",
    ),
    (
        {"console": ["0"] * 9},
        "console.listen: got a list, expected at most 8 listen URIs (--console)",
    ),
    (
        {"console": [f"unix/:/{'a' * 107}"]},
        (
            f"console.listen: got 'unix/:/{'a' * 107}', "
            "expected a path of at most 107 bytes, it has 108 (--console)"
        ),
    ),
    (
        {"console": ["admin:secret@127.0.0.1:1"]},
        (
            "console.listen: got '***@127.0.0.1:1', "
            "expected host:port, [ipv6]:port, port, *:port or unix/:/path (--console)"
        ),
    ),
    (
        {"console": ["127.0.0.1:3301"]},
        ("console.listen: got '127.0.0.1:3301', expected no URI of iproto.listen (--console)"),
    ),
    (
        {"console": ["3302", "unix/:/x"], "listen": ["unix/:/x"]},
        "console.listen: got 'unix/:/x', expected no URI of iproto.listen (--console)",
    ),
    (
        {"console": ["1", "*:3302"]},
        (
            "console.listen: got '0.0.0.0:3302', expected a unix socket or a loopback address, "
            "or console.allow_remote: true (--console)"
        ),
    ),
]


@pytest.mark.parametrize(("flags", "line"), FLAG_LINES)
def test_a_wrong_flag(flags: dict[str, Any], line: str) -> None:
    assert refused(flags, {}) == [line]


ENVIRONMENT_LINES = [
    (
        {"BEESPACE_CONSOLE": "x"},
        (
            "console.listen: got 'x', expected host:port, [ipv6]:port, port, *:port or "
            "unix/:/path (environment BEESPACE_CONSOLE)"
        ),
    ),
    (
        {"BEESPACE_CONSOLE_DIALECT": "3"},
        "console.dialect: got '3', expected 2.6 or new (environment BEESPACE_CONSOLE_DIALECT)",
    ),
]


@pytest.mark.parametrize(("environment", "line"), ENVIRONMENT_LINES)
def test_a_wrong_variable(environment: dict[str, str], line: str) -> None:
    assert refused({}, environment) == [line]


def test_consoles_of_one_source_are_judged_by_all(tmp_path: Path) -> None:
    remote = written(tmp_path, "console: {listen: '*:3302'}")
    assert refused(remote, {})[0].endswith(f"console.allow_remote: true ({tmp_path}/bee.yaml)")
    made = load(remote, {"BEESPACE_CONSOLE_ALLOW_REMOTE": "true"})
    assert made.consoles == (TcpUri("0.0.0.0", 3302),)
    assert load(remote | {"console": ["0"]}, {}).consoles == (TcpUri("127.0.0.1", 0),)
    assert load(remote, {"BEESPACE_CONSOLE_ENABLED": "false"}).consoles == ()
    assert load({"console": ["0"], "listen": ["0"]}, {}).consoles == (TcpUri("127.0.0.1", 0),)
