"""Functions of the catalog as CALL finds them: bodies, owners, sandboxes, and when they change."""

from __future__ import annotations

from collections.abc import Iterator

import msgpack
import pytest

from tests.helpers.engine import Client, Engine, error_of
from tests.helpers.raw import CALL, CALL_16

SETUP = """
local catalog = require('beespace.engine.catalog')
function create(name, options) return catalog.change('create_function', 1, name, options) end
function drop(name) return catalog.change('drop_function', name) end
function users() return box.session.user(), box.session.effective_user() end
create('add', {body = 'function(a, b) return a + b end'})
create('defined', {})
create('who', {body = 'function() return box.session.user(), box.session.effective_user() end'})
create('owner', {setuid = true, body = 'function() return box.session.effective_user() end'})
create('users', {setuid = true})
create('count', {body = '(function() local n = 0 return function() n = n + 1 return n end end)()'})
create('in_c', {language = 'C'})
create('lib.deep.in_c', {language = 'C'})
create('shadowed', {body = 'function() return "body" end'})
create('dotted.name', {body = 'function() return "body" end'})
create('fails', {setuid = true, body = 'function()\\n\\n error("boom") end'})
function shadowed() return 'global' end
dotted = {name = function() return 'global' end}
"""


@pytest.fixture
def engine() -> Iterator[Engine]:
    with Engine(warm=False) as engine:
        engine.execute(SETUP)
        yield engine


@pytest.fixture
def client(engine: Engine) -> Iterator[Client]:
    with engine.connect() as client:
        yield client


def create(engine: Engine, name: str, body: str) -> None:
    source = "local name, body = ... create(name, {body = body})"
    engine.execute(source, name.encode(), body.encode())


def sandboxed(engine: Engine, name: str, body: str) -> None:
    source = "local name, body = ... create(name, {body = body, is_sandboxed = true})"
    engine.execute(source, name.encode(), body.encode())


@pytest.mark.parametrize("kind", [CALL, CALL_16])
@pytest.mark.parametrize(
    ("name", "arguments", "data"),
    [
        ("add", [1, 2], [3]),
        ("who", [], ["guest", "guest"]),
        ("owner", [], ["admin"]),
        ("users", [], ["guest", "admin"]),
        ("shadowed", [], ["body"]),
        ("dotted.name", [], ["body"]),
    ],
)
def test_what_is_called(
    client: Client, kind: int, name: str, arguments: list[object], data: list[object]
) -> None:
    wanted = data if kind == CALL else [[each] for each in data]
    for _ in range(3):
        assert client.request(kind, {0x22: name, 0x21: arguments}).data == wanted


def test_a_body_is_compiled_once(client: Client) -> None:
    assert [client.call("count").data for _ in range(3)] == [[1], [2], [3]]


def test_what_cannot_be_called(engine: Engine, client: Client) -> None:
    undefined = (33, "Procedure 'defined' is not defined")
    module = "Failed to dynamically load module '{}': module not found"
    engine.execute("create('gone', {setuid = true})")

    assert error_of(client.call("defined")) == undefined
    assert error_of(client.call("gone")) == (33, "Procedure 'gone' is not defined")
    assert error_of(client.call("in_c")) == (138, module.format("in_c"))
    assert error_of(client.call("lib.deep.in_c")) == (138, module.format("lib.deep"))
    assert error_of(client.call("fails")) == (32, '[string "return function()..."]:3: boom')
    engine.execute("function defined() return 'now' end gone = {get = 1}")
    assert client.call("defined").data == ["now"]
    assert error_of(client.call("gone")) == (32, "attempt to call a table value")


def test_a_bodiless_method_runs_as_the_owner(engine: Engine, client: Client) -> None:
    engine.execute("""
      object = {get = function(self, n) return self == object, n, users() end}
      create('object:get', {setuid = true})
    """)
    assert client.call("object:get", 7).data == [True, 7, "guest", "admin"]


def test_create_and_drop_act_on_the_next_request(engine: Engine, client: Client) -> None:
    name = "comes_and_goes"
    undefined = (33, f"Procedure '{name}' is not defined")
    assert error_of(client.call(name)) == undefined
    for text in ("one", "two"):
        create(engine, name, f"function() return '{text}' end")
        for _ in range(3):
            assert client.call(name).data == [text]
        engine.execute("drop(...)", name.encode())
        assert error_of(client.call(name)) == undefined
    engine.execute(f"function {name}() return 'global' end")
    for _ in range(2):
        assert client.call(name).data == ["global"]
    create(engine, name, "function() return 3 end")
    assert client.call(name).data == [3]
    engine.execute("drop(...)", name.encode())
    assert client.call(name).data == ["global"]


def test_another_worker_creates_it(engine: Engine, client: Client) -> None:
    assert error_of(client.call("elsewhere"))[0] == 33
    body = {"body": "function() return 'here' end"}
    engine.catalog.change(b"create_function", msgpack.packb([1, "elsewhere", body]))
    assert client.call("elsewhere").data == ["here"]


def test_exported_functions_are_found_beside_them(client: Client) -> None:
    export = "box.iproto.export('told', function() return 'exported' end)"
    assert error_of(client.call("told"))[0] == 33
    client.eval(export)
    assert [client.call("told").data for _ in range(2)] == [["exported"]] * 2
    client.eval("create('told', {body = 'function() return 1 end'})")
    assert client.call("told").data == [1]
    client.eval("drop('told')")
    assert client.call("told").data == ["exported"]


def test_a_sandbox_shows_what_is_safe(engine: Engine, client: Client) -> None:
    names = "box require os io debug ffi load loadstring getfenv setfenv getmetatable rawset _G"
    for number, name in enumerate(names.split()):
        sandboxed(engine, f"see{number}", f"function() return {name} == nil end")
        assert client.call(f"see{number}").data == [True]
    safe = "assert error ipairs next pairs pcall print select tonumber tostring type unpack xpcall"
    for number, name in enumerate(safe.split()):
        sandboxed(engine, f"safe{number}", f"function() return type({name}) end")
        assert client.call(f"safe{number}").data == ["function"]


def test_sandboxes_share_nothing(engine: Engine, client: Client) -> None:
    sandboxed(engine, "write", "function() seen = 1 string.own = 2 return seen, string.own end")
    sandboxed(engine, "read", "function() return seen == nil, string.own == nil end")

    assert client.call("write").data == [1, 2]
    assert client.call("read").data == [True, True]
    assert client.eval("return seen == nil, string.own == nil").data == [True, True]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("function(", """[string "return function("]:1: <name> or '...' expected near '<eof>'"""),
        ("5", "given body doesn't define a function"),
        ("('').upper", "given body doesn't define a function"),
        ("\x1bLJ", """[string "return ..."]:1: unexpected symbol near 'char(27)'"""),
        (
            'error("x")',
            """[string "return error("x")"]:1: attempt to call global 'error' (a nil value)""",
        ),
    ],
)
def test_bodies_that_are_no_function(
    engine: Engine, client: Client, body: str, reason: str
) -> None:
    create(engine, "bad", body)
    assert error_of(client.call("bad")) == (
        99, f"Failed to dynamically load function 'bad': {reason}"
    )  # fmt: skip
