"""`beespace connect` in a terminal, at beespace and at Tarantool: the screen after each step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.helpers.server import Server, running
from tests.helpers.tarantool import Tarantool, running_tarantool
from tests.helpers.terminal import CTRL_C, CTRL_D, ENTER, TAB, UP, Terminal, pasted
from tests.helpers.wait import wait_until
from tests.whole.conftest import Start
from tests.whole.targets import TARGETS

Open = Callable[..., Terminal]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    # Statements that wait go on when their client has left: the stop does not wait for them.
    settings = {"process": {"stop_timeout": 0.5}}
    with running(tmp_path_factory.mktemp("connect"), settings=settings) as started:
        yield started


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tarantool]:
    with running_tarantool(tmp_path_factory.mktemp("tarantool")) as started:
        yield started


@pytest.fixture(params=TARGETS)
def client(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Terminal]:
    """The client at one of the four ends, cleared of what it says at first."""
    program, protocol = request.param.split()
    if program == "beespace":
        server: Server = request.getfixturevalue("server")
        uri = server.console if protocol == "console" else f"127.0.0.1:{server.port}"
    else:
        reference: Tarantool = request.getfixturevalue("reference")
        uri = reference.console if protocol == "console" else reference.binary
    with at(uri, tmp_path) as client:
        yield client


def at(uri: str, state: Path, *arguments: str) -> Terminal:
    """A client whose screen has nothing but its prompt."""
    client = Terminal("connect", uri, *arguments, state=state)
    wait_until(lambda: client.lines[-1:] in (["beespace>"], ["tarantool>"]), 20, "a prompt")
    client.type("\x0c")
    wait_until(lambda: len(client.lines) == 1, 20, "a clear screen")
    return client


def test_the_example_of_the_manual(server: Server, tmp_path: Path) -> None:
    with at(server.console, tmp_path, "--prompt", "tarantool") as client:
        client.type("box.session.peer(session.id())", ENTER)
        client.wait_for_screen(
            """
tarantool> box.session.peer(session.id())
---
- unix/:(socket)
...

tarantool>"""
        )
        for line in (
            'box.session.storage.random_memorandum = "Don\'t forget the eggs"',
            "box.session.storage.radius_of_mars = 3396",
            "m = ''",
        ):
            client.type(line, ENTER)
            client.wait_for(f"tarantool> {line}", "---", "...", "", "tarantool>")
        client.type("for k, v in pairs(box.session.storage) do", ENTER)
        client.type("  m = m .. k .. '='.. v .. ' '", ENTER, "end", ENTER)
        client.wait_for(
            "tarantool> for k, v in pairs(box.session.storage) do",
            "         >   m = m .. k .. '='.. v .. ' '",
            "         > end",
            "---",
            "...",
            "",
            "tarantool>",
        )
        client.type("m", ENTER)
        wait_until(lambda: client.lines.count("...") == 6 and client.lines[-1] == "tarantool>", 20)
        answer = client.lines[client.lines.index("tarantool> m") + 1 :]
        parts = "radius_of_mars=3396 ", "random_memorandum=Don''t forget the eggs "
        orders = [f"- '{a}{b}'" for a, b in (parts, parts[::-1])]
        assert answer in [["---", order, "...", "", "tarantool>"] for order in orders]


def test_statements_continuations_and_errors(client: Terminal) -> None:
    client.type("1 +", ENTER)
    client.wait_for("...", "", "beespace>")
    client.type("for i = 1, 2 do", ENTER, "box.session.push(i)", ENTER, "end", ENTER)
    client.wait_for_screen(
        """
beespace> 1 +
---
- error: '[string "1 +"]:1: unexpected symbol near ''1'''
...

beespace> for i = 1, 2 do
        > box.session.push(i)
        > end
%TAG !push! tag:tarantool.io/push,2018
--- 1
...
%TAG !push! tag:tarantool.io/push,2018
--- 2
...
---
...

beespace>"""
    )


def test_names_are_completed(client: Terminal) -> None:
    client.type("box.sess", TAB)
    client.wait_for("beespace> box.session")
    client.type(".pe", TAB)
    client.wait_for("beespace> box.session.peer(")
    client.type(CTRL_C, "fals", TAB, ENTER)
    client.wait_for("beespace> false", "---", "- false", "...", "", "beespace>")
    client.type("x = string.re", TAB)
    client.wait_for("beespace> x = string.re", *[" " * 24 + one for one in ("rep(", "reverse(")])


def test_pasted_lines_run_like_typed_ones(client: Terminal) -> None:
    client.type(pasted("a = 1\nfunction f()\n  return a + 1\nend\n\nf()\n\\set output lua"), ENTER)
    client.wait_for_screen(
        """
beespace> a = 1
        > function f()
        >   return a + 1
        > end
        >
        > f()
        > \\set output lua
---
...

---
...

---
- 2
...

true;

beespace>"""
    )
    client.type("f(", ENTER, ")", ENTER)
    client.wait_for("beespace> f(", "        > )", "2;", "", "beespace>")
    client.type("'a;b', {1}", ENTER)
    client.wait_for("beespace> 'a;b', {1}", '"a;b", {1};', "", "beespace>")
    client.type("\\set output yaml", ENTER)
    client.wait_for("---", "- true", "...", "", "beespace>")


def test_statements_end_as_before_whatever_sets_a_delimiter(client: Terminal) -> None:
    def answered(*typed: str) -> None:
        for line in typed:
            client.type(line, ENTER)
        number = typed[-1].split()[0]
        client.wait_for(f"- {number}", "...", "", "beespace>")

    client.type('require("console").delimiter("")', ENTER)
    answered("1")
    client.type('require("console").delimiter(";")', ENTER)
    answered("2")
    client.type('function quietly() require("console").delimiter("") end', ENTER)
    answered("3")
    client.type("quietly()", ENTER)
    answered("4")
    client.type("\\set delimiter !", ENTER)
    answered("do return", "5 end!")
    client.type("\\set delimiter", ENTER)
    answered("6")


def test_a_statement_is_taken_from_the_history(client: Terminal) -> None:
    client.type("do", ENTER, "b = 2 end", ENTER)
    client.wait_for("        > b = 2 end", "---", "...", "", "beespace>")
    client.type("b", ENTER)
    client.wait_for("beespace> b", "---", "- 2", "...", "", "beespace>")
    client.type(UP, UP)
    client.wait_for("beespace> do", "        > b = 2 end")
    client.type(ENTER)
    client.wait_for("beespace> do", "        > b = 2 end", "---", "...", "", "beespace>")


def test_ctrl_c_waits_no_more(client: Terminal) -> None:
    fiber = "require('fiber')"
    client.type(f"c = {fiber}.channel(1)", ENTER)
    client.wait_for("---", "...", "", "beespace>")
    client.type("box.session.push(1) return c:get(30)", ENTER)
    client.wait_for("%TAG !push! tag:tarantool.io/push,2018", "--- 1", "...")
    client.type(CTRL_C)
    wait_until(lambda: any("not waiting any more" in line for line in client.lines), 20)
    client.wait_for("beespace>")
    client.type(CTRL_D)
    assert client.wait_for_end() == 0


def test_what_the_server_says_about_itself_is_completed(server: Server, tmp_path: Path) -> None:
    with at(server.console, tmp_path) as client:
        client.type("box.info.vers", TAB, ", box.info.worker.co", TAB)
        client.wait_for("beespace> box.info.version, box.info.worker.count")


def test_every_worker_answers(start: Start, tmp_path: Path) -> None:
    server = start(workers=2)
    with at(server.console, tmp_path) as client:
        client.type("\\set worker all", ENTER)
        client.wait_for("---", "- true", "...", "", "beespace>")
        client.type("f(", ENTER, ")", ENTER, CTRL_D)
        wait_until(lambda: client.lines.count("        > )") == 1, 20)
        assert client.wait_for_end() == 0


def test_a_server_that_stops_is_told_at_once(start: Start, tmp_path: Path) -> None:
    server = start(workers=1)
    with at(server.console, tmp_path) as client:
        client.type("half a line")
        client.wait_for("beespace> half a line")
        server.stop()
        assert client.wait_for_end() == 2
        assert "has closed the connection" in "".join(client.lines)
