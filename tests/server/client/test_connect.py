"""The whole command as a script, with stand-in servers of both protocols."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from server.client.binary import scramble
from tests.helpers.server import ROOT, environment
from tests.helpers.terminal import ENTER, Terminal
from tests.helpers.wait import wait_until
from tests.server.client.standin import (
    BINARY,
    CONSOLE,
    ENTRANCE,
    NOTHING,
    SALT,
    TRUE,
    Turn,
    answer,
    evaluation,
    refusal,
    request,
    response,
    said,
    standin,
)

PUSH = b"%TAG !push! tag:tarantool.io/push,2018\n---\n- 1\n...\n"


def connect(
    *arguments: str, stdin: bytes | None = None, **variables: str
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "server", "connect", *arguments],
        input=stdin or b"",
        capture_output=True,
        timeout=30,
        env={**environment(), **variables},
        cwd=ROOT,
    )


def outcome(done: subprocess.CompletedProcess[bytes]) -> tuple[int, bytes, bytes]:
    return done.returncode, done.stdout, done.stderr


def login(sync: int, user: str, password: str) -> bytes:
    proof = ["chap-sha1", scramble(SALT[:20], password)]
    return request(sync, 7, {0x23: user, 0x21: proof})


def text_server(path: Path, *turns: Turn) -> Any:
    return standin(path, CONSOLE, (*ENTRANCE, *turns))


def binary_server(path: Path, *turns: Turn) -> Any:
    return standin(path, BINARY, ((evaluation(1, "return true"), answer(1, TRUE)), *turns))


def test_a_statement_at_a_console(tmp_path: Path) -> None:
    with text_server(tmp_path / "s", (said("1 + 1"), b"---\n- 2\n...\n")) as uri:
        assert outcome(connect(uri, "--eval", "1 + 1")) == (0, b"---\n- 2\n...\n", b"")


def test_a_statement_at_a_binary_port(tmp_path: Path) -> None:
    turn = (evaluation(2, "1 + 1"), answer(2, b"---\n- 2\n...\n"))
    with binary_server(tmp_path / "s", turn) as uri:
        assert outcome(connect(uri, "--eval", "1 + 1")) == (0, b"---\n- 2\n...\n", b"")


def test_all_of_the_input_is_one_statement(tmp_path: Path) -> None:
    script = b"local a = 1\nreturn [[\n...\n\xff]]"
    reply = b"---\n- !!binary Li4uCv8=\n...\n"
    with text_server(tmp_path / "s", (script + b"$EOF$\n", reply)) as uri:
        assert outcome(connect(uri, stdin=script + b"\n")) == (0, reply, b"")


def test_no_input_is_an_empty_statement(tmp_path: Path) -> None:
    with text_server(tmp_path / "s", (said(""), NOTHING)) as uri:
        assert outcome(connect(uri)) == (0, NOTHING, b"")


def test_pushes_are_printed_before_the_answer(tmp_path: Path) -> None:
    with text_server(tmp_path / "s", (said("f()"), PUSH + PUSH + TRUE)) as uri:
        assert outcome(connect(uri, "--eval", "f()")) == (0, PUSH + PUSH + TRUE, b"")
    chunk = response(2, {0x30: [[1]]}, 0x80)
    with binary_server(tmp_path / "b", (evaluation(2, "f()"), chunk + answer(2, TRUE))) as uri:
        assert outcome(connect(uri, "--eval", "f()")) == (0, PUSH + TRUE, b"")


def test_pushes_are_printed_as_they_come(tmp_path: Path) -> None:
    with text_server(tmp_path / "s", (said("f()"), PUSH)) as uri:
        process = subprocess.Popen(
            [sys.executable, "-m", "server", "connect", uri, "--eval", "f()"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(),
            cwd=ROOT,
        )
        assert process.stdout is not None
        assert process.stdout.read(len(PUSH)) == PUSH
        output, errors = process.communicate(timeout=30)
    gone = f"beespace: {uri} has closed the connection\n".encode()
    assert (process.returncode, output, errors) == (2, b"", gone)


def test_an_answer_in_lua_ends_its_line(tmp_path: Path) -> None:
    with text_server(tmp_path / "s", (said("1"), b'{1, "a;b"};')) as uri:
        assert outcome(connect(uri, "--eval", "1")) == (0, b'{1, "a;b"};\n', b"")


@pytest.mark.parametrize("reply", [b"---\n- error: 'a: b'\n...\n", b'{error = "a: b"};'])
def test_an_error_is_text_on_stderr_and_code_3(tmp_path: Path, reply: bytes) -> None:
    with text_server(tmp_path / "s", (said("f()"), PUSH + reply)) as uri:
        assert outcome(connect(uri, "--eval", "f()")) == (3, PUSH, b"a: b\n")


def test_an_error_of_a_request_is_like_one_of_a_statement(tmp_path: Path) -> None:
    turn = (evaluation(2, "f()"), refusal(2, "time is over"))
    with binary_server(tmp_path / "s", turn) as uri:
        assert outcome(connect(uri, "--eval", "f()")) == (3, b"", b"time is over\n")


def test_quit_needs_no_server(tmp_path: Path) -> None:
    with text_server(tmp_path / "s") as uri:
        assert outcome(connect(uri, "--eval", "\\quit")) == (0, b"", b"")


def test_a_statement_that_cannot_be_sent_is_one_line(tmp_path: Path) -> None:
    with text_server(tmp_path / "s") as uri:
        done = connect(uri, stdin=b"[[$EOF$\n]]")
    line = b"beespace: a statement cannot have $EOF$ at the end of a line\n"
    assert outcome(done) == (2, b"", line)


def test_a_reader_that_has_enough_is_no_error_of_ours(tmp_path: Path) -> None:
    much = b"---\n" + b"- line\n" * 200_000 + b"...\n"
    with text_server(tmp_path / "s", (said("f()"), much)) as uri:
        command = f"{sys.executable} -m server connect {uri} --eval 'f()' | head -n 1"
        done = subprocess.run(
            ["sh", "-c", command], capture_output=True, timeout=30, env=environment(), cwd=ROOT
        )
    assert (done.stdout, done.stderr) == (b"---\n", b"")


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


def test_a_user_without_rights_is_one_line(tmp_path: Path) -> None:
    turn = (evaluation(1, "return true"), refusal(1, "Execute access is denied"))
    with standin(tmp_path / "s", BINARY, (turn,)) as uri:
        assert outcome(connect(uri, "--eval", "1")) == refused(uri, "Execute access is denied")


def test_an_end_before_the_greeting_is_one_line(tmp_path: Path) -> None:
    for number, start in enumerate((b"", CONSOLE[:100])):
        with standin(tmp_path / f"s{number}", start, ()) as uri:
            line = f"beespace: {uri} has closed the connection before its greeting\n"
            assert outcome(connect(uri, "--eval", "1")) == (2, b"", line.encode())


def test_another_kind_of_server_is_one_line(tmp_path: Path) -> None:
    with standin(tmp_path / "s", b"HTTP/1.1 400 Bad Request\r\n".ljust(200), ()) as uri:
        line = f"beespace: {uri} does not greet as a server of this kind does\n"
        assert outcome(connect(uri, "--eval", "1")) == (2, b"", line.encode())


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


def test_a_console_asks_for_no_password(tmp_path: Path) -> None:
    with text_server(tmp_path / "s", (said("1"), TRUE)) as uri:
        assert outcome(connect(f"bob@{uri}", "--eval", "1")) == (0, TRUE, b"")


def test_a_missing_password_is_one_line_without_a_terminal(tmp_path: Path) -> None:
    with standin(tmp_path / "s", BINARY, ()) as uri:
        line = f"beespace: no password for bob@{uri}: give it in BEESPACE_PASSWORD\n"
        assert outcome(connect(f"bob@{uri}", "--eval", "1")) == (2, b"", line.encode())


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
    "arguments", [["a", "bob:s3cret@b"], ["bob:s3cret@b"], ["bob:s3cret@127.0.0.1:0"]]
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


def test_a_prompt_that_is_not_known_is_one_line() -> None:
    done = connect("--prompt", "wasp")
    assert (done.returncode, done.stdout, done.stderr.count(b"\n")) == (2, b"", 1)


def test_a_script_does_not_load_what_only_a_terminal_needs(tmp_path: Path) -> None:
    with text_server(tmp_path / "s", (said("1"), TRUE)) as uri:
        code = (
            "import sys\nfrom server.client import connect\n"
            f"connect.run(connect.Wish(uri={uri!r}, expression='1'))\n"
            "print({'prompt_toolkit', 'pygments', 'pydantic', 'yaml', 'asyncio'} & {*sys.modules})"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, timeout=30, env=environment()
        )
    assert (done.stdout, done.stderr) == (TRUE + b"set()\n", b"")
