"""URIs of the client: everything that is taken, and what errors show of it."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from server.client import target
from server.client.failures import ClientError
from server.client.target import Target
from server.errors import ExitStatus
from server.uri import TcpUri, UnixUri

TAKEN = [
    ("3301", Target(TcpUri("127.0.0.1", 3301))),
    ("localhost:3301", Target(TcpUri("localhost", 3301))),
    ("[::1]:3301", Target(TcpUri("::1", 3301))),
    ("/run/bee.sock", Target(UnixUri("/run/bee.sock"))),
    ("unix/:/run/bee@home.sock", Target(UnixUri("/run/bee@home.sock"))),
    ("bob@host:1", Target(TcpUri("host", 1), "bob")),
    ("bob:@host:1", Target(TcpUri("host", 1), "bob", "")),
    ("bob:secret@host:1", Target(TcpUri("host", 1), "bob", "secret")),
    ("bob:s@c:r/t@[::1]:1", Target(TcpUri("::1", 1), "bob", "s@c:r/t")),
    ("bob:secret@/run/a@b", Target(UnixUri("/run/a@b"), "bob", "secret")),
    ("bob:secret@unix/:/run/b", Target(UnixUri("/run/b"), "bob", "secret")),
]


@pytest.mark.parametrize(("text", "expected"), TAKEN)
def test_a_uri_is_taken(text: str, expected: Target) -> None:
    assert target.parse(text) == expected


@pytest.mark.parametrize(
    "text", ["", "host", "bob:secret@", "bob:secret@host", "host:0", "host:99999", "a b:1", "/x/"]
)
def test_what_is_no_uri_is_one_line_with_code_2(text: str) -> None:
    with pytest.raises(ClientError) as caught:
        target.parse(text)
    (line,) = caught.value.lines
    assert line.startswith("URI: got ")
    assert "expected" in line
    assert "secret" not in line
    assert caught.value.exit_code == ExitStatus.NO_CONNECTION


@pytest.mark.parametrize(("text", "_expected"), TAKEN)
def test_a_password_is_in_no_text_of_a_target(text: str, _expected: Target) -> None:
    aim = target.parse(text)
    for shown in (str(aim), repr(aim)):
        assert not aim.password or aim.password not in shown


def test_another_user_does_not_get_the_password_of_the_uri() -> None:
    assert target.parse("bob:secret@host:1", "bob").password == "secret"
    assert target.parse("bob:secret@host:1", "eve") == Target(TcpUri("host", 1), "eve")
    assert target.parse("host:1", "eve") == Target(TcpUri("host", 1), "eve")


SAID = [
    ("alice:topsecret:127.0.0.1:3301", "alice:...", target.EXPECTED),
    ("alice:topsecret", "alice:...", "a port from 1 to 65535"),
    ("alice:pa@ss:word", "alice:...", "a port from 1 to 65535"),
    ("alice:topsecret@host", "alice:...", target.EXPECTED),
    (":x@127.0.0.1:3301", ":...", "the name of a user and the place of a server around the @"),
    ("alice@", "alice@", target.EXPECTED),
    ("tcp://127.0.0.1:3301", "tcp:...", "no scheme but"),
    ("tcp://user:pw@host:1", "tcp:...", "no scheme but"),
    ("*:3301", "*:...", "a host to connect to"),
    ("bob@*:3301", "bob@*:...", "a host to connect to"),
    ("host:0", "host:...", "a port from 1 to 65535"),
    ("host:65536", "host:...", "a port from 1 to 65535"),
    ("[::1]:x", "[::1]:...", "a port from 1 to 65535"),
    ("::1:3301", ":...", "an IPv6 address in brackets"),
    ("unix/:relative", "unix/:relative", "unix/: and an absolute path"),
    ("/folder/", "/folder/", "unix/: and the path of a file"),
]


@pytest.mark.parametrize(("text", "shown", "expected"), SAID)
def test_an_error_shows_nothing_behind_the_first_colon(
    text: str, shown: str, expected: str
) -> None:
    with pytest.raises(ClientError) as caught:
        target.parse(text)
    (line,) = caught.value.lines
    assert line.startswith(f"URI: got {shown!r}, expected {expected.removeprefix('expected ')}")


@pytest.mark.parametrize(("user", "shown"), [("alice:topsecret", "alice:..."), ("", "")])
def test_a_user_is_a_name(user: str, shown: str) -> None:
    with pytest.raises(ClientError) as caught:
        target.parse("3301", user)
    assert caught.value.lines == (
        f"--user: got {shown!r}, expected a name; a password goes into BEESPACE_PASSWORD",
    )


def test_the_console_of_a_run_directory_takes_no_user(tmp_path: Path) -> None:
    with pytest.raises(ClientError, match="--user: a console takes no user"):
        target.local(str(tmp_path), None, "alice")


def test_the_console_of_a_run_directory_is_found(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "console.sock"))
        assert target.local(str(tmp_path), None) == Target(UnixUri(f"{tmp_path}/console.sock"))


def test_the_default_is_the_run_directory_of_the_server_with_that_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    for name, folder in ((None, "default"), ("two", "two")):
        with pytest.raises(ClientError) as caught:
            target.local(None, name)
        (line,) = caught.value.lines
        assert line.startswith(f"no server runs in {tmp_path}/beespace/{folder}; ")


@pytest.mark.parametrize(
    ("consoles", "found"),
    [(["127.0.0.1:3313", "unix/:/b"], TcpUri("127.0.0.1", 3313)), (["unix/:/b"], UnixUri("/b"))],
)
def test_the_first_console_that_a_server_has_written_down_is_found(
    tmp_path: Path, consoles: list[str], found: TcpUri | UnixUri
) -> None:
    (tmp_path / "server.json").write_text(json.dumps({"pid": 1, "consoles": consoles}))
    assert target.local(str(tmp_path), None) == Target(found)


@pytest.mark.parametrize("state", ['{"consoles": []}', "[]", "{}"])
def test_a_server_without_consoles_is_told(tmp_path: Path, state: str) -> None:
    (tmp_path / "server.json").write_text(state)
    with pytest.raises(ClientError, match="has no console"):
        target.local(str(tmp_path), None)
