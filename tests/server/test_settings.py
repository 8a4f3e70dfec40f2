"""Settings: defaults, precedence of the sources, and every line that refuses one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import platformdirs
import pydantic
import pytest

from server import settings
from server.credentials import Credentials
from server.errors import ExitStatus, SettingsError
from server.settings import load
from server.uri import TcpUri
from shm.catalog.passwords import Rules


def refused(flags: dict[str, Any], environment: dict[str, str]) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load(flags, environment)
    assert caught.value.exit_code is ExitStatus.SETTINGS
    return list(caught.value.lines)


def written(folder: Path, text: str) -> dict[str, Any]:
    path = folder / "bee.yaml"
    path.write_text(text)
    return {"config": str(path)}


def test_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/7")
    monkeypatch.setenv("XDG_STATE_HOME", "/home/bee/state")
    made = load({}, {})
    assert made.iproto.listen == (TcpUri("127.0.0.1", 3301),)
    assert (made.consoles, made.console.listen) == (None, None)
    assert (made.console.allow_remote, made.console.dialect) == (False, "2.6")
    assert made.worker_count == len(os.sched_getaffinity(0))
    assert made.iproto.max_packet_size == 64 * 1024 * 1024
    assert made.session.limits.total == 65536
    assert made.session.output_limit == 64 * 1024 * 1024
    assert made.limits.request_time == 10
    assert made.lua.memory == 2 * 1024 * 1024 * 1024
    assert made.events.memory == 8 * 1024 * 1024
    assert made.name == "default"
    assert (made.log.level, made.log.format) == ("info", "plain")
    assert made.app.file is None
    assert (made.compat.session_results, made.compat.fiber_user) == ("old", "new")
    assert made.compat.session_su == "new"
    assert set(made.security.model_dump().values()) == {False}
    assert made.security.rules == Rules()
    assert made.credentials == Credentials()
    assert made.developer.jit_log is False
    assert made.run_dir == Path("/run/user/7/beespace/default")
    assert made.data_dir == Path("/home/bee/state/beespace/default")


@pytest.mark.filterwarnings("error")
def test_a_runtime_directory_is_found_without_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    assert load({"name": "hive"}, {}).run_dir.parts[-2:] == ("beespace", "hive")


def test_no_runtime_directory_is_an_error_that_names_the_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(_: str) -> Path:
        raise PermissionError("runtime directory /tmp/runtime-7 is owned by uid 1")

    monkeypatch.setattr(platformdirs, "user_runtime_path", refuse)
    with pytest.raises(SettingsError) as caught:
        assert load({}, {}).run_dir
    assert caught.value.lines == (
        (
            "process.run_dir: got none, expected a folder: "
            "runtime directory /tmp/runtime-7 is owned by uid 1 (defaults)"
        ),
    )


def test_settings_are_frozen() -> None:
    made = load({}, {})
    for part, name in ((made, "name"), (made.iproto, "threads")):
        with pytest.raises(pydantic.ValidationError):
            setattr(part, name, "other")


FILE = "iproto: {threads: 4, listen: 3304}\nlog: {level: debug}\n"
PRECEDENCE = [
    # flags, environment, with file -> workers, level
    ({"workers": "2"}, {"BEESPACE_WORKERS": "3"}, True, 2, "debug"),
    ({}, {"BEESPACE_WORKERS": "3"}, True, 3, "debug"),
    ({}, {"BEESPACE_IPROTO_THREADS": "3", "BEESPACE_LOG_LEVEL": "1"}, True, 3, "error"),
    ({}, {"BEESPACE_WORKERS": ""}, True, 4, "debug"),
    ({"log_level": "5"}, {"BEESPACE_LOG_LEVEL": "4"}, True, 4, "info"),
    ({"workers": "2"}, {}, False, 2, "info"),
]


@pytest.mark.parametrize(("flags", "environment", "file", "workers", "level"), PRECEDENCE)
def test_precedence(
    tmp_path: Path,
    flags: dict[str, Any],
    environment: dict[str, str],
    file: bool,
    workers: int,
    level: str,
) -> None:
    made = load(flags | (written(tmp_path, FILE) if file else {}), environment)
    assert (made.worker_count, made.log.level) == (workers, level)
    assert made.iproto.listen[0] == TcpUri("127.0.0.1", 3304 if file else 3301)


def test_every_key_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "app.lua").touch()
    text = f"""
name: hive
app: {{file: {tmp_path}/app.lua}}
iproto: {{listen: 0, threads: auto, max_packet_size: 1024}}
console: {{listen: [0, "*:0"], allow_remote: true, dialect: new}}
session: {{limits: {{total: 16000000}}}}
events: {{memory: 65536}}
process: {{run_dir: run, data_dir: /data}}
log: {{level: 6, format: json}}
security:
  auth_delay: 2.5
  auth_retries: 3
  disable_guest: true
  password_min_length: 8
  password_enforce_uppercase: true
  password_enforce_lowercase: true
  password_enforce_digits: true
  password_enforce_specialchars: true
  keep_sessions_on_password_change: true
compat: {{session_results: new, fiber_user: old, session_su: old}}
developer: {{jit_log: true}}
"""
    made = load(written(tmp_path, text), {})
    assert made.app.file == tmp_path / "app.lua"
    assert made.run_dir == Path.cwd() / "run"
    assert made.data_dir == Path("/data")
    assert made.consoles == (TcpUri("127.0.0.1", 0), TcpUri("0.0.0.0", 0))
    assert made.console.dialect == "new"
    assert made.session.limits.total == 16_000_000
    assert made.session.output_limit == 64 * 1024 * 1024
    assert made.limits.request_time == 10
    assert made.lua.memory == 2 * 1024 * 1024 * 1024
    assert made.events.memory == 65536
    assert (made.log.level, made.log.format) == ("verbose", "json")
    assert (made.compat.session_results, made.compat.fiber_user) == ("new", "old")
    assert made.compat.session_su == "old"
    assert made.security.model_dump() == {
        "auth_delay": 2.5,
        "auth_retries": 3,
        "disable_guest": True,
        "password_min_length": 8,
        "keep_sessions_on_password_change": True,
        "password_enforce_uppercase": True,
        "password_enforce_lowercase": True,
        "password_enforce_digits": True,
        "password_enforce_specialchars": True,
    }
    assert made.security.rules == Rules(8, True, True, True, True)
    assert made.developer.jit_log is True


def test_every_key_and_flag_has_a_variable() -> None:
    known = settings.variables()
    assert set(known.values()) == set(settings.keys()) - set(settings.FILE_ONLY)
    assert set(settings.FLAGS.values()) <= set(settings.keys())
    assert known["BEESPACE_IPROTO_LISTEN"] == known["BEESPACE_LISTEN"] == "iproto.listen"
    assert known["BEESPACE_MAX_SESSIONS"] == "session.limits.total"


LEVELS = "one of fatal, syserror, error, crit, warn, info, verbose, debug, or a number from 0 to 7"
FLAG_LINES = [
    (
        {"workers": "0"},
        "iproto.threads: got '0', expected a number of workers from 1 to 256, or auto (--workers)",
    ),
    (
        {"workers": "257"},
        (
            "iproto.threads: got '257', "
            "expected a number of workers from 1 to 256, or auto (--workers)"
        ),
    ),
    (
        {"workers": "2.5"},
        (
            "iproto.threads: got '2.5', "
            "expected a number of workers from 1 to 256, or auto (--workers)"
        ),
    ),
    (
        {"max_sessions": "16000001"},
        (
            "session.limits.total: got '16000001', "
            "expected a number of sessions from 1 to 16000000 (--max-sessions)"
        ),
    ),
    (
        {"max_sessions": "many"},
        (
            "session.limits.total: got 'many', "
            "expected a number of sessions from 1 to 16000000 (--max-sessions)"
        ),
    ),
    (
        {"name": "../x"},
        (
            "name: got '../x', "
            "expected 1 to 64 letters, digits, hyphens, underscores and dots (--name)"
        ),
    ),
    (
        {"name": ".."},
        "name: got '..', expected 1 to 64 letters, digits, hyphens, underscores and dots (--name)",
    ),
    (
        {"name": ""},
        "name: got '', expected 1 to 64 letters, digits, hyphens, underscores and dots (--name)",
    ),
    (
        {"name": "a" * 65},
        (
            f"name: got '{'a' * 65}', "
            "expected 1 to 64 letters, digits, hyphens, underscores and dots (--name)"
        ),
    ),
    ({"log_level": "loud"}, f"log.level: got 'loud', expected {LEVELS} (--log-level)"),
    ({"log_level": "8"}, f"log.level: got '8', expected {LEVELS} (--log-level)"),
    ({"log_format": "xml"}, "log.format: got 'xml', expected plain or json (--log-format)"),
    ({"run_dir": ""}, "process.run_dir: got '', expected the path of a folder (--run-dir)"),
    ({"data_dir": ""}, "process.data_dir: got '', expected the path of a folder (--data-dir)"),
    (
        {"app": "/no/app.lua"},
        "app.file: got '/no/app.lua', expected the path of an existing Lua file (command line)",
    ),
    (
        {"listen": ["x"]},
        (
            "iproto.listen: got 'x', "
            "expected host:port, [ipv6]:port, port, *:port or unix/:/path (--listen)"
        ),
    ),
    (
        {"listen": ["1:1:1"]},
        (
            "iproto.listen: got '1:1:1', "
            "expected an IPv6 address in brackets: [address]:port (--listen)"
        ),
    ),
    (
        {"listen": ["1", "x"]},
        (
            "iproto.listen: got a list, "
            "expected host:port, [ipv6]:port, port, *:port or unix/:/path as number 2 (--listen)"
        ),
    ),
    (
        {"listen": ["bob:hunter2@[::1"]},
        (
            "iproto.listen: got '***@[::1', "
            "expected host:port, [ipv6]:port, port, *:port or unix/:/path (--listen)"
        ),
    ),
    (
        {"listen": ["3301", "3301"]},
        "iproto.listen: got a list, expected every listen URI once (--listen)",
    ),
    (
        {"listen": ["0"] * 17},
        "iproto.listen: got a list, expected at most 16 listen URIs (--listen)",
    ),
    (
        {"config": "/no/bee.yaml"},
        (
            "config: got '/no/bee.yaml' (No such file or directory), "
            "expected a readable YAML file (--config)"
        ),
    ),
]


@pytest.mark.parametrize(("flags", "line"), FLAG_LINES)
def test_a_wrong_flag(flags: dict[str, Any], line: str) -> None:
    assert refused(flags, {}) == [line]


ENVIRONMENT_LINES = [
    ({"BEESPACE_FOO": "1"}, "BEESPACE_FOO: got a value, expected no such variable (environment)"),
    (
        {"BEESPACE_LISTEN": "1", "BEESPACE_IPROTO_LISTEN": "2"},
        (
            "iproto.listen: got two values, "
            "expected one (environment BEESPACE_IPROTO_LISTEN, BEESPACE_LISTEN)"
        ),
    ),
    (
        {"BEESPACE_WORKERS": "x"},
        (
            "iproto.threads: got 'x', "
            "expected a number of workers from 1 to 256, or auto (environment BEESPACE_WORKERS)"
        ),
    ),
    (
        {"BEESPACE_DEVELOPER_JIT_LOG": "yes"},
        (
            "developer.jit_log: got 'yes', "
            "expected true or false (environment BEESPACE_DEVELOPER_JIT_LOG)"
        ),
    ),
    (
        {"BEESPACE_LOG_SLOW_REQUEST": "0.001"},
        (
            "log.slow_request: got '0.001', "
            "expected seconds from 0.01 to 86400, or 0 (environment BEESPACE_LOG_SLOW_REQUEST)"
        ),
    ),
    (
        {"BEESPACE_LOG_ACCESS": "2"},
        (
            "log.access: got '2', "
            "expected a share of requests from 0 to 1, or off (environment BEESPACE_LOG_ACCESS)"
        ),
    ),
    (
        {"BEESPACE_LISTEN": '[{"uri"'},
        (
            "iproto.listen: got a text, "
            "expected listen URIs: host:port, [ipv6]:port, port, *:port or unix/:/path "
            "(environment BEESPACE_LISTEN)"
        ),
    ),
    (
        {"BEESPACE_CONFIG": "/no"},
        (
            "config: got '/no' (No such file or directory), "
            "expected a readable YAML file (BEESPACE_CONFIG)"
        ),
    ),
]


@pytest.mark.parametrize(("environment", "line"), ENVIRONMENT_LINES)
def test_a_wrong_variable(environment: dict[str, str], line: str) -> None:
    assert refused({}, environment) == [line]


def test_one_line_for_every_wrong_key(tmp_path: Path) -> None:
    flags = written(tmp_path, "log: {level: loud, format: xml}\nname: '!'\n")
    lines = refused(flags | {"workers": "x"}, {})
    assert [line.split(":")[0] for line in lines] == [
        "name",
        "iproto.threads",
        "log.level",
        "log.format",
    ]
    assert all("\n" not in line for line in lines)


def test_a_log_that_goes_to_a_file_needs_its_name() -> None:
    with pytest.raises(SettingsError) as caught:
        load({}, {"BEESPACE_LOG_TO": "file"})
    line = "log.file: got none, expected the path of a file, since log.to is file"
    assert caught.value.lines == (f"{line} (environment BEESPACE_LOG_TO)",)
    made = load({}, {"BEESPACE_LOG_TO": "file", "BEESPACE_LOG_FILE": "/var/log/bee.log"})
    assert made.log_file == "/var/log/bee.log"
    assert load({}, {"BEESPACE_LOG_FILE": "/var/log/bee.log"}).log_file is None


@pytest.mark.parametrize(("text", "share"), [("off", 0.0), ("0.01", 0.01), ("1", 1.0)])
def test_what_is_logged_of_requests(tmp_path: Path, text: str, share: float) -> None:
    made = load(written(tmp_path, f"log: {{access: {text}, slow_request: 0}}\n"), {})
    assert (made.log.access, made.log.slow_request) == (share, 0.0)
    assert (load({}, {}).log.access, load({}, {}).log.slow_request) == (0.0, 0.5)
