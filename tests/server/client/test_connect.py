"""The whole command as a script, with stand-in servers of both protocols."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.server import ROOT, environment
from tests.server.client.scripts import binary_server, connect, outcome, text_server
from tests.server.client.standin import (
    NOTHING,
    TRUE,
    answer,
    evaluation,
    refusal,
    response,
    said,
)

PUSH = b"%TAG !push! tag:tarantool.io/push,2018\n---\n- 1\n...\n"


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


def test_commands_at_the_beginning_of_the_input_are_statements(tmp_path: Path) -> None:
    turns = (
        (said("\\set output lua"), b"true;"),
        (said("return {1,\n2}"), b"{1, 2};"),
    )
    with text_server(tmp_path / "s", *turns) as uri:
        done = connect(uri, stdin=b"\\set output lua\nreturn {1,\n2}\n")
        assert outcome(done) == (0, b"true;\n{1, 2};\n", b"")


def test_nothing_runs_behind_an_error(tmp_path: Path) -> None:
    with text_server(tmp_path / "s", (said("\\set output"), b"---\n- error: no\n...\n")) as uri:
        assert outcome(connect(uri, stdin=b"\\set output\nreturn 1\n")) == (3, b"", b"no\n")


def test_an_output_that_takes_no_more_is_one_line(tmp_path: Path) -> None:
    with (
        text_server(tmp_path / "s", (said("1"), TRUE)) as uri,
        Path("/dev/full").open("wb") as full,
    ):
        done = subprocess.run(
            [sys.executable, "-m", "server", "connect", uri, "--eval", "1"],
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=30,
            env=environment(),
            cwd=ROOT,
        )
    line = b"beespace: cannot write to the standard output: No space left on device\n"
    assert (done.returncode, done.stderr) == (1, line)


def test_an_input_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    number = os.open(tmp_path / "file", os.O_WRONLY | os.O_CREAT)
    with text_server(tmp_path / "s") as uri:
        done = subprocess.run(
            [sys.executable, "-m", "server", "connect", uri],
            stdin=number,
            capture_output=True,
            timeout=30,
            env=environment(),
            cwd=ROOT,
        )
    os.close(number)
    line = b"beespace: cannot read the standard input: Bad file descriptor\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, b"", line)


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
