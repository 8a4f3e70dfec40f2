"""Settings of metrics: off unless an address is named, and for this machine unless allowed."""

from __future__ import annotations

from pathlib import Path

import pytest

from server import reload
from server.reload import Plan
from server.settings import load
from server.uri import TcpUri, UnixUri
from tests.server.test_settings_consoles import refused, written


@pytest.mark.parametrize("text", ["", "metrics: {}", "metrics: {allow_remote: true}"])
def test_there_are_none_unless_they_are_wanted(tmp_path: Path, text: str) -> None:
    assert load(written(tmp_path, text), {}).metrics.listen is None


@pytest.mark.parametrize(
    ("value", "uris"),
    [
        ("9464", (TcpUri("127.0.0.1", 9464),)),
        ("0", (TcpUri("127.0.0.1", 0),)),
        ("'[::1]:9464'", (TcpUri("::1", 9464),)),
        ("localhost:9464", (TcpUri("localhost", 9464),)),
        ("unix/:/run/m.sock", (UnixUri("/run/m.sock"),)),
        ("[9464, 'unix/:/m']", (TcpUri("127.0.0.1", 9464), UnixUri("/m"))),
    ],
)
def test_addresses(tmp_path: Path, value: str, uris: tuple[object, ...]) -> None:
    assert load(written(tmp_path, f"metrics: {{listen: {value}}}"), {}).metrics.listen == uris


LINES = [
    ("'*:9464'", "got '0.0.0.0:9464', expected a unix socket or a loopback address, or "),
    ("'[::]:9464'", "got '[::]:9464', expected a unix socket or a loopback address, or "),
    ("bee.example:1", "got 'bee.example:1', expected a unix socket or a loopback address, or "),
    ("[]", "got a list, expected listen URIs: host:port, [ipv6]:port, port, *:port or unix/:/path"),
    ("[1, 1]", "got a list, expected every listen URI once"),
    ("[0, 0, 0, 0, 0, 0, 0, 0, 0]", "got a list, expected at most 8 listen URIs"),
    ("'1?proxy_protocol=true'", "got '1?***', expected no proxy_protocol, which is for iproto"),
    ("3301", "got '127.0.0.1:3301', expected no URI of iproto.listen"),
    ("unix/:/console", "got 'unix/:/console', expected no URI of console.listen"),
]


@pytest.mark.parametrize(("value", "line"), LINES)
def test_what_is_refused(tmp_path: Path, value: str, line: str) -> None:
    text = f"console: {{listen: unix/:/console}}\nmetrics: {{listen: {value}}}"
    (found,) = refused(written(tmp_path, text), {})
    assert found.startswith(f"metrics.listen: {line}")
    assert found.endswith(f"({tmp_path}/bee.yaml)")


def test_other_machines_have_to_be_allowed(tmp_path: Path) -> None:
    remote = written(tmp_path, "metrics: {listen: '*:9464'}")
    assert refused(remote, {})[0].endswith(f"or metrics.allow_remote: true ({tmp_path}/bee.yaml)")
    allowed = load(remote, {"BEESPACE_METRICS_ALLOW_REMOTE": "true"})
    assert allowed.metrics.listen == (TcpUri("0.0.0.0", 9464),)
    variable = {"BEESPACE_METRICS_LISTEN": "0.0.0.0:1"}
    assert refused({}, variable)[0].endswith(": true (environment BEESPACE_METRICS_LISTEN)")


def test_a_console_that_is_off_takes_no_address(tmp_path: Path) -> None:
    text = "console: {enabled: false, listen: unix/:/x}\nmetrics: {listen: unix/:/x}"
    assert load(written(tmp_path, text), {}).metrics.listen == (UnixUri("/x"),)


def test_every_fault_of_listeners_is_told(tmp_path: Path) -> None:
    text = "console: {listen: '*:1'}\nmetrics: {listen: '*:2'}\nlog: {to: file}"
    lines = refused(written(tmp_path, text), {})
    assert [line.partition(":")[0] for line in lines] == [
        "console.listen",
        "metrics.listen",
        "log.file",
    ]


def test_a_change_needs_a_restart(tmp_path: Path) -> None:
    before = load({}, {})
    after = load(written(tmp_path, "metrics: {listen: 9464, allow_remote: true}"), {})
    wanted = Plan({}, needs_restart=("metrics.listen", "metrics.allow_remote"))
    assert reload.plan(before, after) == wanted
