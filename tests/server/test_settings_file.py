"""The settings file: every line that refuses one, and what a file without values means."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from server.settings import load
from tests.server.test_settings import refused, written

# Keys of the sections, in the order of an error line.
IPROTO = (
    "keepalive, listen, max_packet_size, net_msg_max, net_msg_max_per_worker, proxy_trusted, "
    "threads, user_timeout"
)
SESSION = (
    "idle_timeout, inbox_limit, limits, login_timeout, max_age, max_age_jitter, output_limit, users"
)
TOP = (
    "app, compat, config, console, credentials, developer, events, iproto, limits, log, lua, "
    "metrics, name, process, security, session, workers"
)

FILE_LINES = [
    (
        "iproto: {lissten: 3}",
        f"iproto.lissten: got a value, expected one of the keys {IPROTO} (FILE)",
    ),
    (
        "foo: 1",
        (f"foo: got a value, expected one of the keys {TOP} (FILE)"),
    ),
    (
        "session: {limits: {totl: 1}}",
        (
            "session.limits.totl: got a value, "
            "expected one of the keys accept_rate, per_address, per_user, total (FILE)"
        ),
    ),
    (
        "session: {max_age: .nan}",
        "session.max_age: got nan, expected seconds from 0 (no limit) to 31536000 (FILE)",
    ),
    (
        "iproto: {proxy_trusted: [10.1.0.0/16, 10.0.0.1/8]}",
        (
            "iproto.proxy_trusted: got a list, "
            "expected a list of networks: 10.0.0.0/8, 2001:db8::/32 or single addresses: "
            "'10.0.0.1/8' is none, 10.0.0.0/8 is (FILE)"
        ),
    ),
    (
        "iproto: {proxy_trusted: localhost}",
        (
            "iproto.proxy_trusted: got 'localhost', "
            "expected a list of networks: 10.0.0.0/8, 2001:db8::/32 or single addresses: "
            "'localhost' is none (FILE)"
        ),
    ),
    (
        "iproto: {listen: [{uri: 3301, params: {proxy_protocol: 1}}]}",
        ("iproto.listen: got a list, expected no params but proxy_protocol: true or false (FILE)"),
    ),
    ("session: 5", f"session: got a number, expected a map with the keys {SESSION} (FILE)"),
    (
        "foo: null",
        (f"foo: got a value, expected one of the keys {TOP} (FILE)"),
    ),
    (
        "security: {auth_delay: -1}",
        "security.auth_delay: got -1, expected seconds from 0 to 86400 (FILE)",
    ),
    (
        "security: {auth_retries: x}",
        (
            "security.auth_retries: got 'x', "
            "expected a number of failed logins from 0 to 1000000 (FILE)"
        ),
    ),
    (
        "security: {disable_guest: 1}",
        "security.disable_guest: got 1, expected true or false (FILE)",
    ),
    (
        "security: {password_min_length: 5000}",
        (
            "security.password_min_length: got 5000, "
            "expected a number of characters from 0 to 1024 (FILE)"
        ),
    ),
    (
        "compat: {session_su: maybe}",
        "compat.session_su: got 'maybe', expected old or new (FILE)",
    ),
    (
        "iproto: {lissten: null}",
        (f"iproto.lissten: got a value, expected one of the keys {IPROTO} (FILE)"),
    ),
    (
        "iproto: {threads: true}",
        "iproto.threads: got True, expected a number of workers from 1 to 256, or auto (FILE)",
    ),
    (
        "iproto: {threads: 2.0}",
        "iproto.threads: got 2.0, expected a number of workers from 1 to 256, or auto (FILE)",
    ),
    (
        "iproto: {max_packet_size: 1}",
        "iproto.max_packet_size: got 1, expected bytes from 1024 to 1073741824 (FILE)",
    ),
    (
        "events: {memory: 1000}",
        "events.memory: got 1000, expected bytes from 65536 to 1073741824 (FILE)",
    ),
    (
        "iproto: {listen: []}",
        (
            "iproto.listen: got a list, "
            "expected listen URIs: host:port, [ipv6]:port, port, *:port or unix/:/path (FILE)"
        ),
    ),
    (
        "iproto: {listen: [{url: 1}]}",
        "iproto.listen: got a list, expected of a map the keys uri and params (FILE)",
    ),
    (
        "iproto: {listen: [true]}",
        (
            "iproto.listen: got a list, "
            "expected host:port, [ipv6]:port, port, *:port or unix/:/path (FILE)"
        ),
    ),
    (
        "compat: {session_results: both}",
        "compat.session_results: got 'both', expected old or new (FILE)",
    ),
    (
        "compat: {fiber_user: 5}",
        "compat.fiber_user: got 5, expected old or new (FILE)",
    ),
    (
        "process: {scheduling: real-time}",
        "process.scheduling: got 'real-time', expected batch or normal (FILE)",
    ),
    (
        "name: 5",
        "name: got 5, expected 1 to 64 letters, digits, hyphens, underscores and dots (FILE)",
    ),
    ("- 1", "config: got a list in 'FILE', expected a map of settings (--config)"),
    (
        "a: b: c",
        (
            "config: got mapping values are not allowed here in line 1 of 'FILE', "
            "expected valid YAML (--config)"
        ),
    ),
    (
        "name: x\niproto: [",
        (
            "config: got expected the node content, but found '<stream end>' in line 2 of 'FILE', "
            "expected valid YAML (--config)"
        ),
    ),
    (
        "iproto: {1: 2}",
        f"iproto.1: got a value, expected one of the keys {IPROTO} (FILE)",
    ),
]


@pytest.mark.parametrize(("text", "line"), FILE_LINES)
def test_a_wrong_file(tmp_path: Path, text: str, line: str) -> None:
    flags = written(tmp_path, text)
    assert refused(flags, {}) == [line.replace("FILE", flags["config"])]


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("iproto: 5", "iproto"),
        ("iproto: {threads: many}", "iproto.threads"),
        ("iproto: {thread: 4}", "iproto.thread"),
        ("iproto: {threads: {x: null}}", "iproto.threads"),
    ],
)
@pytest.mark.parametrize(
    ("flag", "environment"), [({"workers": "2"}, {}), ({}, {"BEESPACE_WORKERS": "2"})]
)
def test_a_wrong_file_is_refused_though_something_else_is_in_force(
    tmp_path: Path, text: str, key: str, flag: dict[str, Any], environment: dict[str, str]
) -> None:
    flags = written(tmp_path, text)
    (line,) = refused(flags | flag, environment)
    assert line.startswith(f"{key}: got ")
    assert line.endswith(f"({flags['config']})")


def test_known_keys_without_a_value_have_their_defaults(tmp_path: Path) -> None:
    made = load(
        written(tmp_path, "name:\niproto: {threads: null}\nlog:\nsession: {limits: }\n"), {}
    )
    assert made.model_dump() == load({}, {}).model_dump()


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "bee.yaml"
    path.write_bytes(b"name: \xff")
    (line,) = refused({"config": str(path)}, {})
    assert line == f"config: got '{path}', expected a file of UTF-8 text (--config)"
