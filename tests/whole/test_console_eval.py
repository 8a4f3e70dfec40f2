"""What Tarantool's clients send to a binary port and to a console, some by those clients."""

from __future__ import annotations

import base64
import contextlib
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgpack
import pytest

from tests.helpers.raw import Raw
from tests.helpers.server import Server, running
from tests.helpers.tarantool import listens
from tests.helpers.text_console import TextConsole
from tests.helpers.wait import wait_until

EVERYTHING = [{"permissions": ["execute"], "universe": True}]
USERS = {
    "tester": {"password": "Sesame-0pen", "privileges": EVERYTHING},
    "bob": {"password": "Sesame-0pen"},
}
LOGIN = "tester:Sesame-0pen"
CHUNK = 0x80
EVAL = 'return require("console").eval(...)'

TARANTOOL = shutil.which("tarantool")
needs_tarantool = pytest.mark.skipif(TARANTOOL is None, reason="tarantool is not installed")

BODY = """
  local yaml = require('yaml').new()
  yaml.cfg{encode_use_tostring = true, encode_invalid_as_nil = true}
  local line, is_sql, need_types = ...
  if is_sql then
    return require('console').eval('\\\\set language sql')
  elseif line:sub(1, 1) == '\\\\' then
    return require('console').eval(line)
  end
  local chunk, problem = load('return ' .. line)
  if chunk == nil then
    chunk, problem = load(line)
  end
  if chunk == nil then
    return yaml.encode({{error = problem}})
  end
  local function pack(ok, ...)
    if not ok then
      return yaml.encode({{error = tostring((...))}})
    end
    local list = {}
    for index = 1, select('#', ...) do
      local value = select(index, ...)
      list[index] = value == nil and box.NULL or value
      if need_types and box.tuple.is(value) then
        list[index] = {tuple = value:totable()}
      end
    end
    return #list == 0 and '---\\n...\\n' or yaml.encode(list)
  end
  return pack(pcall(chunk))
"""
"""Evaluates a statement as `tt connect` has it done: the answer is made by require('yaml')."""

LINE = (
    "local arguments = require('msgpack').decode(string.fromhex('{arguments}'))"
    " local answer = load({body})(unpack(arguments))"
    " return {{data_enc = require('digest').base64_encode(require('msgpack').encode({{answer}}))}}"
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("eval")
    with running(folder, settings={"credentials": {"users": USERS}}) as started:
        yield started


@pytest.fixture
def nested(tmp_path: Path) -> Iterator[TextConsole]:
    """The text console of a real Tarantool, which is a client of ours once it is told so."""
    path = tmp_path / "client.sock"
    script = tmp_path / "client.lua"
    script.write_text(f"require('console').listen('{path}') require('fiber').sleep(60)")
    with (tmp_path / "log").open("wb") as log:
        client = subprocess.Popen(
            [str(TARANTOOL), str(script)], stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    with contextlib.ExitStack() as stack:
        stack.callback(client.wait)
        stack.callback(client.kill)
        wait_until(lambda: listens(path), 20, "the client's console")
        yield stack.enter_context(TextConsole(str(path)))


def test_a_user_needs_execute_on_universe(server: Server) -> None:
    with Raw(server.address) as client:
        assert client.auth("bob", "Sesame-0pen").code == 0
        assert client.eval(EVAL, "return true").code == 42


def test_statements_by_eval(server: Server) -> None:
    with Raw(server.address) as client:
        assert client.auth("tester", "Sesame-0pen").code == 0
        for line, answer in (
            ("return true", ["---\n- true\n...\n"]),
            ("box.session.type(), box.session.user()", ["---\n- binary\n- tester\n...\n"]),
            ("for i = 1, 2 do\nend", ["---\n...\n"]),
            ("\\set output lua", ["true;"]),
            ("1, {a = 1}", ["1, {a = 1};"]),
            ("\\quit", []),
            ("\\set output yaml", ["---\n- true\n...\n"]),
            ("error('bad', 0)", ["---\n- error: bad\n...\n"]),
        ):
            assert client.eval(EVAL, line).data == answer
        pushed = client.eval(EVAL, "box.session.push({1})")
        assert (pushed.type, pushed.data) == (CHUNK, [[1]])
        assert client.packet().data == ["---\n- true\n...\n"]


@needs_tarantool
def test_a_tarantool_connects_to_the_binary_port(server: Server, nested: TextConsole) -> None:
    uri = f"{LOGIN}@127.0.0.1:{server.port}"
    assert nested.values(f"require('console').connect('{uri}')") == [True]
    who = "box.session.type(), box.session.user(), box.info.worker.count"
    assert nested.values(who) == ["binary", "tester", 2]
    for line, answer in (
        ("1 +", "---\n- error: '[string \"1 +\"]:1: unexpected symbol near ''1'''\n...\n"),
        ("{1, {a = 'x'}}", "---\n- - 1\n  - a: x\n...\n"),
        ("nil", "---\n- null\n...\n"),
        ("local none", "---\n...\n"),
        ("box.session.push(5)", "---\n- true\n...\n"),
        ("('x'):rep(100000)", "---\n- " + "x" * 100000 + "\n...\n"),
        ("\\set delimiter ;", "---\n- error: 'console.delimiter(): need existing console'\n...\n"),
        ("\\quit", "---\n- error: null\n...\n"),
    ):
        assert nested.say(line).decode() == answer
    complete = "require('console').completion_handler('box.session.pee', 0, 15)"
    assert nested.values(complete) == [["box.session.peer("] * 2]


@needs_tarantool
def test_a_tarantool_connects_to_a_console(server: Server, nested: TextConsole) -> None:
    assert nested.values(f"require('console').connect('unix/:{server.console}')") == [True]
    assert nested.values("box.session.type(), box.session.user()") == ["console", "admin"]
    assert nested.values("require('console').delimiter()") == ["$EOF$"]
    told = "---\n- error: Can not install delimiter for net box sessions\n...\n"
    assert nested.say("\\set delimiter ;").decode() == told
    assert nested.say("box.session.push(5)") == b"---\n- true\n...\n"
    assert nested.pushes == [b"%TAG !push! tag:tarantool.io/push,2018\n--- 5\n...\n"]


@needs_tarantool
@pytest.mark.skipif(shutil.which("tarantoolctl") is None, reason="tarantoolctl is not installed")
@pytest.mark.parametrize(
    ("script", "code", "printed"),
    [
        ("1 + 1", 0, "---\n- 2\n...\n"),
        ("local a = 1\nreturn a,\n2\n", 0, "---\n- 1\n- 2\n...\n"),
        ("error('bad', 0)", 3, "bad"),
    ],
)
def test_tarantoolctl_runs_a_script(
    server: Server, tmp_path: Path, script: str, code: int, printed: str
) -> None:
    for uri in (f"{LOGIN}@127.0.0.1:{server.port}", server.console):
        done = subprocess.run(
            ["tarantoolctl", "connect", uri],
            input=script.encode(),
            capture_output=True,
            cwd=tmp_path,
            timeout=30,
            check=False,
        )
        assert done.returncode == code
        assert printed in (done.stdout + done.stderr).decode()


CASES = [
    ("1, 'x'", "---\n- 1\n- x\n...\n"),
    ("local a = 5", "---\n...\n"),
    ("nil, {1, {a = 2}}", "---\n- null\n- - 1\n  - a: 2\n...\n"),
    ("1 +", "---\n- error: '[string \"1 +\"]:1: unexpected symbol near ''1'''\n...\n"),
    ("error('bad', 0)", "---\n- error: bad\n...\n"),
    ("box.tuple.new({1, 'a'})", "---\n- [1, 'a']\n...\n"),
    ("\\set language", "---\n- language: lua\n...\n"),
    ("('word '):rep(40)", ""),
]


@pytest.mark.parametrize(("line", "answer"), CASES)
def test_a_wrapper_evaluates_over_the_binary_port(server: Server, line: str, answer: str) -> None:
    with Raw(server.address) as client:
        (text,) = client.eval(BODY, line, False, False).data
    assert text == answer or (not answer and text.count("word") == 40)


@pytest.mark.parametrize(("line", "answer"), CASES)
def test_a_wrapper_evaluates_over_a_console(server: Server, line: str, answer: str) -> None:
    arguments = msgpack.packb([line, False, False]).hex()
    body = " ".join(BODY.split())
    sent = LINE.format(arguments=arguments, body=f"[==[{body}]==]")
    with TextConsole(server.console) as console:
        (found,) = console.values(sent)
        (text,) = msgpack.unpackb(base64.b64decode(found["data_enc"]))
        assert text == answer or (not answer and text.count("word") == 40)


def test_tuples_are_told_from_tables(server: Server) -> None:
    with Raw(server.address) as client:
        (text,) = client.eval(BODY, "box.tuple.new({1}), {2}", False, True).data
        assert text == "---\n- tuple: [1]\n- - 2\n...\n"
