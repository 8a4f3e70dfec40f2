"""The way in, by the whole command: greetings, refusals, users and passwords."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.helpers.server import ROOT, environment
from tests.helpers.terminal import CTRL_C, CTRL_D, ENTER, Terminal
from tests.helpers.wait import wait_until
from tests.server.client.scripts import binary_server, connect, login, outcome, text_server
from tests.server.client.standin import (
    BINARY,
    CONSOLE,
    ENTRANCE,
    TRUE,
    Turn,
    answer,
    evaluation,
    refusal,
    response,
    said,
    standin,
)


def refused(uri: str, reason: str) -> tuple[int, bytes, bytes]:
    return 2, b"", f"beespace: {uri} refuses: {reason}\n".encode()


def test_a_full_console_is_one_line(tmp_path: Path) -> None:
    no = b"---\n- error: 'session limit reached: 1 of 1'\n...\n"
    with standin(tmp_path / "s", CONSOLE + no, ((ENTRANCE[0][0], b""),)) as uri:
        done = connect(uri, "--eval", "1")
        assert outcome(done) == refused(uri, "session limit reached: 1 of 1")


def test_a_full_binary_port_is_one_line(tmp_path: Path) -> None:
    turn = (evaluation(1, "return true"), b"")
    with standin(tmp_path / "s", BINARY + refusal(0, "session limit reached"), (turn,)) as uri:
        assert outcome(connect(uri, "--eval", "1")) == refused(uri, "session limit reached")


@pytest.mark.parametrize("no", ["Execute access is denied", "Authentication required"])
def test_a_user_without_rights_is_one_line_and_a_guest_is_told_to_log_in(
    tmp_path: Path, no: str
) -> None:
    turn = (evaluation(1, "return true"), refusal(1, no))
    for number, user in enumerate(("", "guest@")):
        with standin(tmp_path / f"s{number}", BINARY, (turn,)) as uri:
            hint = f"{no}; to log in, beespace connect USER@{uri}"
            assert outcome(connect(user + uri, "--eval", "1")) == refused(user + uri, hint)
    turns = (
        (login(1, "bob", "x"), response(1, {})),
        (evaluation(2, "return true"), refusal(2, no)),
    )
    with standin(tmp_path / "s", BINARY, turns) as uri:
        assert outcome(connect(f"bob:x@{uri}", "--eval", "1")) == refused(f"bob@{uri}", no)


def test_an_end_before_the_greeting_is_one_line(tmp_path: Path) -> None:
    for number, start in enumerate((b"", CONSOLE[:100])):
        with standin(tmp_path / f"s{number}", start, ()) as uri:
            line = f"beespace: {uri} has closed the connection before its greeting\n"
            assert outcome(connect(uri, "--eval", "1")) == (2, b"", line.encode())


def test_another_kind_of_server_is_one_line(tmp_path: Path) -> None:
    with standin(tmp_path / "s", b"HTTP/1.1 400 Bad Request\r\n".ljust(200), ()) as uri:
        line = f"beespace: {uri} does not greet as a server of this kind does\n"
        assert outcome(connect(uri, "--eval", "1")) == (2, b"", line.encode())


@pytest.mark.parametrize("start", [b"SSH-2.0-OpenSSH_9.2\r\n", b"T3"])
def test_the_first_bytes_of_another_kind_of_server_are_enough(tmp_path: Path, start: bytes) -> None:
    with standin(tmp_path / "s", start, (), stays=True) as uri:
        line = f"beespace: {uri} does not greet as a server of this kind does\n"
        assert outcome(connect(uri, "--eval", "1")) == (2, b"", line.encode())


IMPATIENT = """
import sys
from server.client import entrance
entrance.GREETING_SECONDS, entrance.ANSWER_SECONDS = float(sys.argv.pop(1)), 0.4
from server.cli.command import run
run()
"""


@pytest.mark.parametrize(
    ("greeting", "turns", "user", "reason"),
    [
        (b"", (), "", "has not sent a greeting within 0 s"),
        (BINARY[:70], (), "", "has not sent its whole greeting within 0 s"),
        (BINARY, ((evaluation(1, "return true"), b""),), "", "has not answered within 0 s"),
        (BINARY, ((login(1, "bob", "x"), b""),), "bob:x@", "has not answered within 0 s"),
        (CONSOLE, (ENTRANCE[0], (ENTRANCE[1][0], b"")), "", "has not answered within 0 s"),
    ],
    ids=["silent", "half a greeting", "binary", "login", "console"],
)
def test_a_server_that_says_nothing_is_not_waited_for(
    tmp_path: Path, greeting: bytes, turns: Sequence[Turn], user: str, reason: str
) -> None:
    patience = "0.4" if len(greeting) < len(BINARY) else "20"
    with standin(tmp_path / "s", greeting, turns, stays=True) as uri:
        done = subprocess.run(
            [sys.executable, "-c", IMPATIENT, patience, "connect", user + uri, "--eval", "1"],
            capture_output=True,
            timeout=30,
            env=environment(),
            cwd=ROOT,
        )
    shown = uri if not user else f"bob@{uri}"
    line = f"beespace: {shown} {reason}\n".encode()
    assert (done.returncode, done.stdout, done.stderr) == (2, b"", line)


def test_no_server_is_one_line(tmp_path: Path) -> None:
    line = f"beespace: no server runs in {tmp_path}; give --run-dir, --name or a URI\n"
    expected = (2, b"", line.encode())
    assert outcome(connect("--run-dir", str(tmp_path))) == expected
    assert outcome(connect(BEESPACE_RUN_DIR=str(tmp_path))) == expected
    assert outcome(connect(str(tmp_path / "x"))) == (
        2,
        b"",
        f"beespace: cannot connect to unix/:{tmp_path}/x: No such file or directory\n".encode(),
    )


def test_the_console_in_the_run_directory_is_the_default(tmp_path: Path) -> None:
    with text_server(tmp_path / "console.sock", (said("1"), TRUE)):
        assert outcome(connect("--run-dir", str(tmp_path), "--eval", "1")) == (0, TRUE, b"")


@pytest.mark.parametrize("where", ["URI", "variable"])
def test_a_login(tmp_path: Path, where: str) -> None:
    script: Sequence[Turn] = (
        (login(1, "bob", "s3cret@"), response(1, {})),
        (evaluation(2, "return true"), answer(2, TRUE)),
        (evaluation(3, "1"), answer(3, TRUE)),
    )
    with standin(tmp_path / "s", BINARY, script) as uri:
        if where == "URI":
            done = connect(f"bob:s3cret@@{uri}", "--eval", "1", BEESPACE_PASSWORD="other")
        else:
            done = connect(uri, "--user", "bob", "--eval", "1", BEESPACE_PASSWORD="s3cret@")
    assert outcome(done) == (0, TRUE, b"")


def test_a_wrong_password_is_one_line_that_does_not_show_it(tmp_path: Path) -> None:
    turn = (login(1, "bob", "wr0ng"), refusal(1, "supplied credentials are invalid"))
    with standin(tmp_path / "s", BINARY, (turn,)) as uri:
        done = connect(f"bob:wr0ng@{uri}", "--eval", "1")
        assert outcome(done) == refused(f"bob@{uri}", "supplied credentials are invalid")


def test_guest_needs_no_password(tmp_path: Path) -> None:
    with binary_server(tmp_path / "s", (evaluation(2, "1"), answer(2, TRUE))) as uri:
        assert outcome(connect(f"guest@{uri}", "--eval", "1")) == (0, TRUE, b"")


@pytest.mark.parametrize("user", ["bob@", "bob:s3cret@"])
def test_a_console_takes_no_user(tmp_path: Path, user: str) -> None:
    with standin(tmp_path / "s", CONSOLE, (), stays=True) as uri:
        line = f"beespace: {uri} is a console: it takes no user, who reaches it is admin\n"
        assert outcome(connect(user + uri, "--eval", "1")) == (2, b"", line.encode())


def test_a_missing_password_is_one_line_without_a_terminal(tmp_path: Path) -> None:
    with standin(tmp_path / "s", BINARY, ()) as uri:
        line = f"beespace: no password for bob@{uri}: give it in BEESPACE_PASSWORD\n"
        assert outcome(connect(f"bob@{uri}", "--eval", "1")) == (2, b"", line.encode())


@pytest.mark.parametrize(("key", "status"), [(CTRL_C, -signal.SIGINT), (CTRL_D, 2)])
def test_who_gives_no_password_leaves_with_a_line_of_its_own(
    tmp_path: Path, key: str, status: int
) -> None:
    with (
        standin(tmp_path / "s", BINARY, (), stays=True) as uri,
        Terminal("connect", f"bob@{uri}", "--eval", "1", state=tmp_path) as terminal,
    ):
        wait_until(lambda: "password of bob@" in "".join(terminal.lines), 20)
        before = terminal.lines
        terminal.type(key)
        assert terminal.wait_for_end() == status
        assert terminal.cursor[1] == 0
        added = "".join(terminal.lines[len(before) :])
        assert added == ("" if status < 0 else f"beespace: no password for bob@{uri}")


def test_a_password_is_asked_for_also_when_the_input_is_a_file(tmp_path: Path) -> None:
    turns: Sequence[Turn] = (
        (login(1, "bob", "s3cret"), response(1, {})),
        (evaluation(2, "return true"), answer(2, TRUE)),
        (evaluation(3, "return 1"), answer(3, TRUE)),
    )
    script = tmp_path / "script.lua"
    script.write_text("return 1\n")
    with (
        standin(tmp_path / "s", BINARY, turns) as uri,
        script.open() as stdin,
        Terminal("connect", f"bob@{uri}", state=tmp_path, stdin=stdin.fileno()) as terminal,
    ):
        wait_until(lambda: "password of bob@" in "".join(terminal.lines), 20)
        terminal.type("s3cret", ENTER)
        assert terminal.wait_for_end() == 0
        assert terminal.lines[-3:] == ["---", "- true", "..."]


def test_a_missing_password_is_asked_for_and_not_shown(tmp_path: Path) -> None:
    script: Sequence[Turn] = (
        (login(1, "bob", "s3cret"), response(1, {})),
        (evaluation(2, "return true"), answer(2, TRUE)),
        (evaluation(3, "1"), answer(3, TRUE)),
    )
    with (
        standin(tmp_path / "s", BINARY, script) as uri,
        Terminal("connect", f"bob@{uri}", "--eval", "1", state=tmp_path) as terminal,
    ):
        wait_until(lambda: "password of bob@" in "".join(terminal.lines), 20)
        terminal.type("s3cret", ENTER)
        assert terminal.wait_for_end() == 0
        assert terminal.lines[-3:] == ["---", "- true", "..."]
        assert "s3cret" not in "".join(terminal.lines)


@pytest.mark.parametrize(
    "arguments",
    [
        ["a", "bob:s3cret@b"],
        ["bob:s3cret@b"],
        ["bob:s3cret@127.0.0.1:0"],
        ["bob:s3cret:127.0.0.1:3301"],
        ["bob:s3cret"],
        ["3301", "--user", "bob:s3cret"],
    ],
)
def test_a_wrong_uri_is_one_line_that_shows_no_password(arguments: list[str]) -> None:
    done = connect(*arguments)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.count(b"\n") == 1
    assert b"s3cret" not in done.stderr


def test_a_password_is_not_in_the_list_of_processes(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "s"))
        silent.listen()
        process = subprocess.Popen(
            [sys.executable, "-m", "server", "connect", f"bob:s3cret@unix/:{tmp_path}/s"],
            stdin=subprocess.DEVNULL,
            env=environment(),
            cwd=ROOT,
        )
        title = Path(f"/proc/{process.pid}/cmdline")
        client, _ = silent.accept()
        assert (
            title.read_bytes().rstrip(b"\0") == f"beespace connect bob@unix/:{tmp_path}/s".encode()
        )
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == -signal.SIGINT
        client.close()
