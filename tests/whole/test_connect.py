"""`beespace connect` as a script, at beespace and at a real Tarantool, by both protocols."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers import tarantool
from tests.helpers.raw import Raw
from tests.helpers.server import LOOPBACK, Server, running
from tests.helpers.tarantool import Tarantool, running_tarantool
from tests.whole.conftest import Start, has_ipv6
from tests.whole.targets import TARGETS, connect, outcome

PASSWORD = "Sesame-0pen"
EVERYTHING = [{"permissions": ["execute"], "universe": True}]
USERS = {"tester": {"password": PASSWORD, "privileges": EVERYTHING}, "bob": {"password": PASSWORD}}
TAG = "%TAG !push! tag:tarantool.io/push,2018\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    listen = [LOOPBACK] + (["[::1]:0"] if has_ipv6() else [])
    settings = {"credentials": {"users": USERS}}
    with running(tmp_path_factory.mktemp("connect"), settings=settings, listen=listen) as started:
        yield started


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tarantool]:
    with running_tarantool(tmp_path_factory.mktemp("tarantool")) as started:
        yield started


@pytest.fixture(params=TARGETS)
def uri(request: pytest.FixtureRequest) -> str:
    """One of the four ends."""
    program, protocol = request.param.split()
    if program == "beespace":
        server: Server = request.getfixturevalue("server")
        return server.console if protocol == "console" else f"127.0.0.1:{server.port}"
    reference: Tarantool = request.getfixturevalue("reference")
    return reference.console if protocol == "console" else reference.binary


STATEMENTS = {
    "1 + 1": "---\n- 2\n...\n",
    "'x', nil, {1, {2}}, {a = 1}": "---\n- x\n- null\n- - 1\n  - - 2\n- a: 1\n...\n",
    "'---\\n...\\n\\n...\\n\u00e9'": "---\n- |-\n  ---\n  ...\n\n  ...\n  \u00e9\n...\n",
}
SCRIPTS = {
    "": "---\n...\n",
    "for i = 1, 2 do\n  t = {i}\nend\nreturn t, [[\n$EOF$ ]]": "---\n- - 2\n- '$EOF$ '\n...\n",
    "\\set language lua\n": "---\n- true\n...\n",
    "\\set output lua\nreturn {1,\n2}\n": "true;\n{1, 2};\n",
}
ERRORS = {
    "1 +": "[string \"1 +\"]:1: unexpected symbol near '1'",
    "error('word ' .. ('word '):rep(40))": "word " * 41,
    "error('a\\n\\nb')": "a\n\nb",
    "\\nosuch": "Invalid command \\nosuch. Type \\help for help.",
}


@pytest.mark.parametrize("statement", STATEMENTS)
def test_a_statement_and_its_answer(uri: str, statement: str) -> None:
    assert outcome(connect(uri, "--eval", statement)) == (0, STATEMENTS[statement], "")


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_is_one_statement_behind_its_commands(uri: str, script: str) -> None:
    assert outcome(connect(uri, stdin=script.encode())) == (0, SCRIPTS[script], "")


@pytest.mark.parametrize("statement", ERRORS)
def test_an_error_is_its_text_on_stderr(uri: str, statement: str) -> None:
    assert outcome(connect(uri, "--eval", statement)) == (3, "", ERRORS[statement] + "\n")


def test_pushes_of_every_kind_come_before_the_answer(uri: str) -> None:
    one = "6213b5ba-ea92-43eb-9c19-7933ca2fe1e7"
    values = {
        "nil": " null",
        "true": " true",
        "'a: b'": " 'a: b'",
        "{'a', {b = 2}}": "\n- a\n- b: 2",
        f"require('uuid').fromstr('{one}')": f" {one}",
    }
    code = "".join(f"box.session.push({value}) " for value in values)
    pushes = "".join(f"{TAG}---{text}\n...\n" for text in values.values())
    done = connect(uri, "--eval", f"{code} return 'done'")
    assert outcome(done) == (0, f"{pushes}---\n- done\n...\n", "")


def test_the_other_output_language(uri: str) -> None:
    code = "require('console').eval('\\\\set output lua') return 'a;b', {1}"
    done = connect(uri, "--eval", code)
    assert done.returncode == 0
    assert done.stdout.decode() in ('"a;b", {1};\n', "---\n- a;b\n- - 1\n...\n")


def test_long_statements_and_long_answers(uri: str) -> None:
    text = b"x" * 3_000_000
    done = connect(uri, stdin=b"return #[[" + text + b"]]")
    assert outcome(done) == (0, f"---\n- {len(text)}\n...\n", "")
    done = connect(uri, "--eval", f"('x'):rep({len(text)})")
    assert done.stdout == b"---\n- " + text + b"\n...\n"


def login_ends(request: pytest.FixtureRequest, end: str) -> str:
    if end == "tarantool":
        return str(request.getfixturevalue("reference").binary)
    return f"127.0.0.1:{request.getfixturevalue('server').port}"


ENDS = ("beespace", pytest.param("tarantool", marks=tarantool.needed))


@pytest.mark.parametrize("end", ENDS)
def test_users_and_passwords(request: pytest.FixtureRequest, end: str) -> None:
    uri = login_ends(request, end)
    tester = (0, "---\n- tester\n...\n", "")
    ask = ("--eval", "box.session.user()")
    assert outcome(connect(f"tester:{PASSWORD}@{uri}", *ask)) == tester
    assert outcome(connect(f"tester@{uri}", *ask, BEESPACE_PASSWORD=PASSWORD)) == tester
    assert outcome(connect(uri, "--user", "tester", *ask, BEESPACE_PASSWORD=PASSWORD)) == tester
    assert outcome(connect(uri, *ask)) == (0, "---\n- guest\n...\n", "")


@pytest.mark.parametrize("end", ENDS)
def test_a_wrong_password_is_one_line_without_it(request: pytest.FixtureRequest, end: str) -> None:
    code, output, errors = outcome(
        connect(f"tester:wr0ng@{login_ends(request, end)}", "--eval", "1")
    )
    assert (code, output, errors.count("\n")) == (2, "", 1)
    assert errors.startswith("beespace: tester@")
    assert "wr0ng" not in errors


def test_a_user_without_rights_is_told(server: Server) -> None:
    code, output, errors = outcome(
        connect(f"bob:{PASSWORD}@127.0.0.1:{server.port}", "--eval", "1")
    )
    assert (code, output) == (2, "")
    assert errors == (
        f"beespace: bob@127.0.0.1:{server.port} refuses: "
        "Execute access to universe '' is denied for user 'bob'\n"
    )


TYPE = ("--eval", "return box.session.type()")


def test_every_form_of_a_uri(server: Server) -> None:
    console, binary = "---\n- console\n...\n", "---\n- binary\n...\n"
    forms = {
        server.console: console,
        f"unix/:{server.console}": console,
        server.control: binary,
        str(server.port): binary,
        f"localhost:{server.port}": binary,
        f"guest@127.0.0.1:{server.port}": binary,
    }
    if has_ipv6():
        forms[f"[::1]:{server.ipv6[1]}"] = binary
    for uri, expected in forms.items():
        assert outcome(connect(uri, *TYPE)) == (0, expected, ""), uri


def test_the_server_that_runs_is_found(server: Server, tmp_path: Path) -> None:
    console = (0, "---\n- console\n...\n", "")
    folder = str(server.folder / "run")
    assert outcome(connect("--run-dir", folder, *TYPE)) == console
    assert outcome(connect(*TYPE, BEESPACE_RUN_DIR=folder)) == console
    (tmp_path / "beespace").mkdir()
    (tmp_path / "beespace" / "bees").symlink_to(folder)
    assert outcome(connect("--name", "bees", *TYPE, XDG_RUNTIME_DIR=str(tmp_path))) == console
    code, _, errors = outcome(connect(*TYPE, XDG_RUNTIME_DIR=str(tmp_path)))
    assert (code, errors.split(";")[0]) == (
        2,
        f"beespace: no server runs in {tmp_path}/beespace/default",
    )


def test_a_console_in_another_place_is_found(start: Start, tmp_path: Path) -> None:
    server = start(workers=1, arguments=["--console", LOOPBACK])
    done = connect("--run-dir", str(server.folder / "run"), *TYPE)
    assert outcome(done) == (0, "---\n- console\n...\n", "")


def test_a_server_without_a_console_is_told(start: Start) -> None:
    server = start(workers=1, settings={"console": {"enabled": False}})
    folder = server.folder / "run"
    line = f"beespace: the server that runs in {folder} has no console\n"
    assert outcome(connect("--run-dir", str(folder), *TYPE)) == (2, "", line)


def test_a_full_server_is_told_by_both_protocols(start: Start) -> None:
    server = start(workers=1, arguments=["--max-sessions", "1", "--console", LOOPBACK])
    with Raw(server.address) as first:
        first.ping()
        for uri in (f"127.0.0.1:{server.port}", "--run-dir=" + str(server.folder / "run")):
            code, output, errors = outcome(connect(uri, *TYPE))
            assert (code, output, errors.count("\n")) == (2, "", 1)
            assert errors.endswith(" refuses: session limit reached: 1 of 1 sessions are in use\n")


def test_a_server_that_ends_meanwhile_is_told(start: Start) -> None:
    server = start(workers=1)
    done = connect(server.console, "--eval", "os.exit(0)")
    assert outcome(done) == (
        2,
        "",
        f"beespace: unix/:{server.console} has closed the connection\n",
    )
