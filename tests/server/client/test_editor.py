"""The line editor in a terminal, with a stand-in server: the screen after each step."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.terminal import CTRL_C, CTRL_D, DOWN, ENTER, LEFT, TAB, UP, pasted
from tests.helpers.wait import wait_until
from tests.server.client.session import Session, console, script
from tests.server.client.standin import (
    NOTHING,
    Turn,
    completion,
    said,
    split,
    statement,
    whole,
)

ONE, TWO = b"---\n- 1\n...\n", b"---\n- 2\n...\n"


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a short name, so that the banner is one line."""
    return tmp_path_factory.mktemp("c")


def test_a_statement_is_typed_and_answered(folder: Path) -> None:
    turns = script(*statement("1", ONE), *statement("2", TWO))
    with console(folder, turns) as uri, Session(uri, folder) as client:
        client.shows("beespace>")
        client.type("1", ENTER)
        client.shows("beespace> 1\n---\n- 1\n...\n\nbeespace>")
        client.type("3", "\b", "2", ENTER)
        client.wait_for("beespace> 2", "---", "- 2", "...", "", "beespace>")
        client.type(CTRL_D)
        assert client.wait_for_end() == 0


@pytest.mark.parametrize("name", ["bee", "tarantool"])
def test_other_prompts_and_their_continuations(folder: Path, name: str) -> None:
    text = "f(\n1)"
    turns = script(split("f("), *statement(text, ONE))
    with console(folder, turns) as uri, Session(uri, folder, "--prompt", name) as client:
        client.type("f(", ENTER)
        client.shows(f"{name}> f(\n{' ' * len(name)}>")
        client.type("1)", ENTER)
        client.shows(f"{name}> f(\n{' ' * len(name)}> 1)\n---\n- 1\n...\n\n{name}>")


def test_pasted_lines_are_run_one_after_another(folder: Path) -> None:
    text = "a = 1\n\nf(\n2)"
    turns = script(
        split(text, "a = 1", "", "f(\n2)"),
        (said("a = 1"), NOTHING),
        (said("f(\n2)"), TWO),
    )
    with console(folder, turns) as uri, Session(uri, folder) as client:
        client.type(pasted(text))
        client.shows("beespace> a = 1\n        >\n        > f(\n        > 2)")
        client.type(ENTER)
        client.wait_for("        > 2)", "---", "...", "", "---", "- 2", "...", "", "beespace>")


def test_the_rest_of_pasted_lines_can_be_completed(folder: Path) -> None:
    turns = script(
        split("1\nf(", "1"),
        split("1\nf(\n2)", "1", "f(\n2)"),
        (said("1"), ONE),
        (said("f(\n2)"), TWO),
    )
    with console(folder, turns) as uri, Session(uri, folder) as client:
        client.type(pasted("1\nf("), ENTER)
        client.shows("beespace> 1\n        > f(\n        >")
        client.type("2)", ENTER)
        client.wait_for("---", "- 1", "...", "", "---", "- 2", "...", "", "beespace>")


def test_a_line_end_is_typed_where_the_text_ends(folder: Path) -> None:
    turns = script(split("f("), *statement("f(\n)", ONE))
    with console(folder, turns) as uri, Session(uri, folder) as client:
        client.type("f(", LEFT, ENTER)
        client.shows("beespace> f(\n        >")
        client.type(")", ENTER)
        client.wait_for("        > )", "---", "- 1", "...", "", "beespace>")


def test_lines_typed_before_are_found_also_by_the_next_run(folder: Path) -> None:
    text = "f(\n1)"
    turns = script(split("f("), *statement(text, ONE), *statement(" 2", TWO))
    with console(folder, turns) as uri, Session(uri, folder) as client:
        client.type("f(", ENTER, "1)", ENTER)
        client.wait_for("...", "", "beespace>")
        client.type(" 2", ENTER)
        client.wait_for("- 2", "...", "", "beespace>")
        client.type(UP)
        client.wait_for("beespace>  2")
        client.type(UP)
        client.wait_for("beespace> f(", "        > 1)")
        client.type(DOWN)
        client.wait_for("", "beespace>  2")
    turns = script(*statement(text, TWO))
    with console(folder, turns, "t") as uri, Session(uri, folder) as client:
        client.type(UP)
        client.shows("beespace> f(\n        > 1)")
        client.type(ENTER)
        client.wait_for("        > 1)", "---", "- 2", "...", "", "beespace>")


def test_a_name_is_completed(folder: Path) -> None:
    turns = script(
        completion("box.sess", "box.session", "box.session"),
        completion("box.session.p", "box.session.p", "box.session.peer(", "box.session.push("),
        completion("box.session.pe", "box.session.peer(", "box.session.peer("),
        *statement("x = box.session.peer()", ONE),
    )
    with console(folder, turns) as uri, Session(uri, folder) as client:
        client.type("x = box.sess", TAB)
        client.shows("beespace> x = box.session")
        client.type(".p", TAB)
        client.shows("beespace> x = box.session.p\n" + " " * 28 + "peer(\n" + " " * 28 + "push(")
        client.type("e")
        client.shows("beespace> x = box.session.pe")
        client.type(TAB)
        client.shows("beespace> x = box.session.peer(")
        client.type(")", ENTER)
        client.wait_for("beespace> x = box.session.peer()", "---", "- 1", "...", "", "beespace>")


def test_a_word_without_completions_stays(folder: Path) -> None:
    turns = script(
        completion("nosuch"),
        (completion("s")[0], b"---\n- error: no handler\n...\n"),
        *statement("nosuch s", ONE),
    )
    done: list[Turn] = []
    with (
        console(folder, turns, done=done) as uri,
        Session(uri, folder) as client,
    ):
        client.type("nosuch", TAB)
        wait_until(lambda: len(done) == 4)
        client.type(" s", TAB)
        wait_until(lambda: len(done) == 5)
        client.type(ENTER)
        client.wait_for("beespace> nosuch s", "---", "- 1", "...", "", "beespace>")


def test_tab_indents_lines_of_a_continuation(folder: Path) -> None:
    turns = script(split("f("), *statement("f(\n    1)", ONE))
    with console(folder, turns) as uri, Session(uri, folder) as client:
        client.type("f(", ENTER, TAB, "1)", ENTER)
        client.wait_for("        >     1)", "---", "- 1", "...", "", "beespace>")


def test_a_server_that_cannot_tell_gets_the_text_as_one_statement(folder: Path) -> None:
    turns = script(
        (whole("select 1\nx")[0], b"---\n- error: no such table\n...\n"),
        (said("select 1\nx"), ONE),
    )
    with console(folder, turns) as uri, Session(uri, folder) as client:
        client.type(pasted("select 1\nx"), ENTER)
        client.wait_for("        > x", "---", "- 1", "...", "", "beespace>")


def test_ctrl_c_drops_the_line_and_ctrl_d_leaves_only_from_an_empty_one(folder: Path) -> None:
    turns = script(split("f("))
    with console(folder, turns) as uri, Session(uri, folder) as client:
        client.type("abc", CTRL_D, CTRL_C)
        client.shows("beespace> abc\nbeespace>")
        client.type("f(", ENTER)
        client.wait_for("beespace> f(", "        >")
        client.type(CTRL_C)
        client.shows("beespace> abc\nbeespace> f(\n        >\nbeespace>")
        client.type(ENTER, "  ", ENTER)
        client.wait_for("beespace>", "beespace>", "beespace>")
        client.type(CTRL_D)
        assert client.wait_for_end() == 0
