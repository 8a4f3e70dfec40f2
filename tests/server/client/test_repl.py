"""The terminal around the line editor: answers, Ctrl-C, what comes by itself, the end, colours."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from server.client import questions, repl
from tests.helpers.terminal import CTRL_C, CTRL_D, ENTER, Terminal, pasted
from tests.helpers.wait import wait_until
from tests.server.client.session import Session, console, script
from tests.server.client.standin import (
    BINARY,
    CONSOLE,
    ENTRANCE,
    NOTHING,
    TRUE,
    Turn,
    answer,
    evaluation,
    response,
    said,
    standin,
    statement,
    whole,
)

ONE, TWO = b"---\n- 1\n...\n", b"---\n- 2\n...\n"
PUSH = b"%TAG !push! tag:tarantool.io/push,2018\n--- 7\n...\n"
PUSHED = ("%TAG !push! tag:tarantool.io/push,2018", "--- 7", "...")


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a short name."""
    return tmp_path_factory.mktemp("c")


class Loose:
    """A console whose part the test says, after the client's first statements."""

    def __init__(self, client: socket.socket) -> None:
        self.client = client
        client.settimeout(20)

    def hear(self, expected: bytes) -> None:
        got = b""
        while len(got) < len(expected):
            data = self.client.recv(len(expected) - len(got))
            assert data, f"the end after {got!r}"
            got += data
        assert got == expected

    def play(self, *turns: Turn) -> None:
        for expected, reply in turns:
            self.hear(expected)
            self.client.sendall(reply)


@contextlib.contextmanager
def loose(folder: Path) -> Iterator[tuple[Loose, Session]]:
    """A console that the test plays, and the client that has just shown its prompt."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "s"))
        listener.listen()
        session = Session(f"unix/:{folder}/s", folder)
        client, _ = listener.accept()
        with client:
            server = Loose(client)
            client.sendall(CONSOLE)
            server.play(*ENTRANCE)
            with session:
                yield server, session


def test_pushes_are_shown_as_they_come(folder: Path) -> None:
    with loose(folder) as (server, client):
        client.type("f()", ENTER)
        server.play(whole("f()"), (said("f()"), PUSH))
        client.wait_for("beespace> f()", *PUSHED)
        server.client.sendall(PUSH)
        client.wait_for("beespace> f()", *PUSHED, *PUSHED)
        server.client.sendall(TRUE)
        client.wait_for(*PUSHED, "---", "- true", "...", "", "beespace>")


def test_ctrl_c_leaves_a_statement_running_and_its_answer_comes_later(folder: Path) -> None:
    with loose(folder) as (server, client):
        client.type("slow()", ENTER)
        server.play(whole("slow()"), (said("slow()"), b""))
        client.type(CTRL_C)
        message = (
            "not waiting any more: the statement goes on in the server, and nothing else runs",
            "before",
        )
        wait_until(lambda: client.lines[-1:] == ["beespace>"])
        assert " ".join(client.lines[-4:-1]).split() == " ".join(message).split()
        client.type("half a l")
        client.wait_for("beespace> half a l")
        server.client.sendall(ONE)
        client.wait_for(repl.LATE, "---", "- 1", "...", "beespace> half a l")
        client.type(CTRL_C, "2", ENTER)
        server.play(*statement("2", TWO))
        client.wait_for("beespace> 2", "---", "- 2", "...", "", "beespace>")


def test_ctrl_c_drops_the_statements_behind(folder: Path) -> None:
    with loose(folder) as (server, client):
        client.type("\x1b[200~slow()\nmore()\x1b[201~", ENTER)
        question, _ = whole("slow()\nmore()")
        server.play((question, b"---\n- hex_%s\n...\n" % b"6 13".hex().encode()))
        server.hear(said("slow()"))
        client.type(CTRL_C)
        client.wait_for("beespace>")
        server.client.sendall(ONE)
        client.wait_for("---", "- 1", "...", "beespace>")
        client.type(CTRL_D)
        assert client.wait_for_end() == 0
        assert server.client.recv(100) == b""


def test_a_binary_port_goes_on_after_ctrl_c(folder: Path) -> None:
    def question(sync: int, text: str) -> Turn:
        asked, _ = whole(text)
        ends = b"---\n- hex_%s\n...\n" % str(len(text)).encode().hex().encode()
        return evaluation(sync, asked.decode().removesuffix("$EOF$\n")), answer(sync, ends)

    turns = (
        (evaluation(1, "return true"), answer(1, TRUE)),
        question(2, "slow()"),
        (evaluation(3, "slow()"), response(3, {0x30: [7]}, 0x80)),
        question(4, "2"),
        (evaluation(5, "2"), answer(5, TWO)),
    )
    done: list[Turn] = []
    with (
        standin(folder / "s", BINARY, turns, stays=True, done=done) as uri,
        Terminal("connect", uri, state=folder) as client,
    ):
        client.wait_for("beespace>")
        client.type("slow()", ENTER)
        client.wait_for("beespace> slow()", *PUSHED)
        client.type(CTRL_C)
        client.wait_for(
            "not waiting any more: the statement goes on in the server", "", "beespace>"
        )
        client.type("2", ENTER)
        client.wait_for("beespace> 2", "---", "- 2", "...", "", "beespace>")


def test_what_comes_by_itself_is_shown_above_the_line(folder: Path) -> None:
    with loose(folder) as (server, client):
        client.type("half a l")
        client.wait_for("beespace> half a l")
        server.client.sendall(PUSH)
        client.wait_for(*PUSHED, "beespace> half a l")


def test_a_server_that_goes_while_a_line_is_typed_is_told_at_once(folder: Path) -> None:
    with loose(folder) as (server, client):
        client.type("half a l")
        client.wait_for("beespace> half a l")
        server.client.close()
        assert client.wait_for_end() == 2
        text = "".join(client.lines)
        assert text.endswith(f"beespace: unix/:{folder}/s has closed the connection")


def test_a_server_that_goes_while_a_statement_runs_is_told(folder: Path) -> None:
    with loose(folder) as (server, client):
        client.type("os.exit()", ENTER)
        server.play(whole("os.exit()"))
        server.hear(said("os.exit()"))
        server.client.close()
        assert client.wait_for_end() == 2
        text = "".join(client.lines)
        assert text.endswith(f"os.exit()beespace: unix/:{folder}/s has closed the connection")


def test_the_delimiter_is_kept_by_the_client(folder: Path) -> None:
    turns = script(
        (said("f(\n1)"), ONE),
        (said("2"), TWO),
        *statement("1", ONE),
    )
    with console(folder, turns) as uri, Session(uri, folder) as client:
        client.type("\\set delimiter !", ENTER)
        client.wait_for("beespace> \\set delimiter !", "---", "...", "", "beespace>")
        client.type("f(", ENTER, "1)!", ENTER)
        client.wait_for("beespace> f(", "        > 1)!", "---", "- 1", "...", "", "beespace>")
        client.type("2!", ENTER)
        client.wait_for("beespace> 2!", "---", "- 2", "...", "", "beespace>")
        client.type("\\set delimiter", ENTER)
        client.wait_for("beespace> \\set delimiter", "---", "...", "", "beespace>")
        client.type("1", ENTER)
        client.wait_for("beespace> 1", "---", "- 1", "...", "", "beespace>")


def test_pasted_lines_may_set_a_delimiter(folder: Path) -> None:
    text = "\\set delimiter !\nf(\n1)!\n\\set delimiter!\n2"
    turns = script(whole("2"), (said("f(\n1)"), ONE), (said("2"), TWO))
    with console(folder, turns) as uri, Session(uri, folder) as client:
        client.type(pasted(text), ENTER)
        client.wait_for("---", "...", "", "---", "- 2", "...", "", "beespace>")


def test_a_statement_that_sets_the_servers_delimiter_is_made_good(folder: Path) -> None:
    text = 'require("console").delimiter("")'
    ended = (said(questions.statement(questions.NOTHING)), b"---\n- hex_\n...\n")
    turns = script(*statement(text, NOTHING), ended, *statement("1", ONE))
    with console(folder, turns) as uri, Session(uri, folder) as client:
        client.type(text, ENTER)
        client.wait_for(f"beespace> {text}", "---", "...", "", "beespace>")
        client.type("1", ENTER)
        client.wait_for("beespace> 1", "---", "- 1", "...", "", "beespace>")


def test_ctrl_c_cuts_a_long_answer_on_a_line_of_its_own(folder: Path) -> None:
    with loose(folder) as (server, client):
        client.type("f()", ENTER)
        server.play(whole("f()"), (said("f()"), b"---\n- " + b"0123456789" * 200_000 + b"\n...\n"))
        client.read_until("0123456789")
        client.type(CTRL_C)
        client.wait_for(repl.CUT, "", "beespace>")
        client.type("1", ENTER)
        server.play(*statement("1", ONE))
        client.wait_for("beespace> 1", "---", "- 1", "...", "", "beespace>")


def test_only_answers_go_into_a_pipe(folder: Path) -> None:
    reader, writer = os.pipe()
    turns = script(*statement("1", ONE), *statement("2", b"---\n- \x01\n...\n"))
    with (
        os.fdopen(reader, "rb") as answers,
        console(folder, turns) as uri,
        Terminal("connect", uri, state=folder, stdout=writer) as client,
    ):
        os.close(writer)
        client.wait_for("beespace>")
        client.type("1", ENTER)
        client.wait_for("beespace> 1", "", "beespace>")
        client.type("2", ENTER)
        client.wait_for("beespace> 2", "", "beespace>")
        client.type(CTRL_D)
        assert client.wait_for_end() == 0
        assert answers.read() == ONE + b"---\n- \x01\n...\n"


@pytest.mark.parametrize("words", ["\\q", "\\quit"])
def test_quit_leaves(folder: Path, words: str) -> None:
    with console(folder, script(whole(words))) as uri, Session(uri, folder) as client:
        client.type(words, ENTER)
        assert client.wait_for_end() == 0


def test_help_is_the_servers_and_that_of_the_keys(folder: Path) -> None:
    turns = script(*statement("\\help", b"---\n- - |\n    Help of the server\n\n...\n"))
    with console(folder, turns) as uri, Session(uri, folder) as client:
        client.type("\\help", ENTER)
        client.shows(
            "beespace> \\help\n---\n- - |\n    Help of the server\n\n...\n"
            + "\n".join(line.rstrip() for line in repl.KEYS.splitlines())
            + "\n\nbeespace>"
        )


def test_a_statement_that_cannot_be_sent_is_told(folder: Path) -> None:
    text = "[[$EOF$\n]]"
    turns = script(whole(text), *statement("1", ONE))
    with console(folder, turns) as uri, Session(uri, folder) as client:
        client.type(f"\x1b[200~{text}\x1b[201~", ENTER)
        client.wait_for("a statement cannot have $EOF$ at the end of a line", "", "beespace>")
        client.type("1", ENTER)
        client.wait_for("beespace> 1", "---", "- 1", "...", "", "beespace>")


def test_what_a_server_sends_does_not_steer_the_terminal(folder: Path) -> None:
    turns = script(*statement("1", b"---\n- \x1b[2Jx\r\n...\n"))
    with console(folder, turns) as uri, Session(uri, folder) as client:
        client.type("1", ENTER)
        client.wait_for("beespace> 1", "---", "- \\x1b[2Jx\\x0d", "...", "", "beespace>")


@pytest.mark.parametrize("variables", [{}, {"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_colours_are_for_terminals_that_want_them(folder: Path, variables: dict[str, str]) -> None:
    turns = script(*statement("local a = 'x'", b"---\n- a: 'b'\n...\n"))
    with (
        console(folder, turns) as uri,
        Terminal("connect", uri, state=folder, variables=variables) as client,
    ):
        wait_until(lambda: client.lines[-1:] == ["beespace>"])
        client.type("local a = 'x'", ENTER)
        wait_until(lambda: client.lines[-1:] == ["beespace>"] and "..." in client.lines)
        assert (client.colours() != {"default"}) == (not variables)


def test_a_signal_ends_it_like_other_commands(folder: Path) -> None:
    with loose(folder) as (_, client):
        client.process.send_signal(signal.SIGTERM)
        assert client.wait_for_end() == -signal.SIGTERM
